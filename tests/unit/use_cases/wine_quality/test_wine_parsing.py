"""The two official files become one table of distinct wines."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from services.core.raw_files.reader import read_folder
from services.preprocessing.stage.preprocess import check_schema
from services.use_cases.wine_quality import raw, simulator
from services.use_cases.wine_quality.declaration import USE_CASE
from tests.unit.use_cases.wine_quality.conftest import HEADER, WINE, Read


def test_the_colour_stands_in_the_files_name(tmp_path: Path) -> None:
    for colour in ("red", "white"):
        (tmp_path / f"winequality-{colour}.csv").write_text(f"{HEADER}\n{WINE};5\n")
    rows = read_folder("wine_quality", tmp_path)["wines"]
    assert sorted(rows["colour"]) == ["red", "white"]


@pytest.mark.parametrize("file", ["winequality.csv", "shared-wines.csv", "whitened.csv"])
def test_a_file_that_does_not_say_its_colour_is_refused(read: Read, file: str) -> None:
    found = read(f"{WINE};5", file=file)
    assert found.rows.empty
    assert "red or white" in found.rejected["reason"][0]


def test_a_column_may_say_the_colour(read: Read) -> None:
    frame = pd.DataFrame([dict(zip(HEADER.replace('"', "").split(";"), [*WINE.split(";"), "6"], strict=True))])
    rows = raw.parse_table("wines", frame.assign(line=2, file="wines.csv", type=" White ")).rows
    assert rows["colour"].tolist() == ["white"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"{WINE};11", "quality"),
        (f"{WINE};5.5", "quality"),
        (f"{WINE};", "quality"),
        (WINE.replace("9.4", "94") + ";5", "alcohol"),
        (WINE.replace("3.51", "") + ";5", "pH"),
        (WINE.replace(";11;", ";35;") + ";5", "more than the total"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_reason(read: Read, line: str, reason: str) -> None:
    found = read(line, f"{WINE};5")
    assert len(found.rows) == 1
    assert found.rejected["line"].tolist() == [2]
    assert reason in found.rejected["reason"][0]


def test_a_wine_that_is_listed_twice_is_one_wine(read: Read) -> None:
    rows = read(f"{WINE};5", f"{WINE};6", WINE.replace("9.4", "9.5") + ";5").rows
    examples = raw.build_examples({"wines": rows})
    assert len(examples) == examples["wine"].nunique() == 2
    assert 6.0 in set(examples["quality"])  # what came last counts


def test_a_wines_name_depends_on_itself_alone(read: Read) -> None:
    """Or a wine would change its place in the split when others arrive."""
    alone = raw.build_examples({"wines": read(f"{WINE};5").rows})["wine"].item()
    among = raw.build_examples({"wines": read(WINE.replace("9.4", "9.5") + ";5", f"{WINE};7").rows})
    assert alone in set(among["wine"])


def test_grades_that_no_taster_gave_are_no_grade_but_a_score(read: Read) -> None:
    examples = raw.build_examples({"wines": read(f"{WINE};10", WINE.replace("9.4", "9.5") + ";3").rows})
    by_score = examples.set_index("quality")["grade"]
    assert pd.isna(by_score[10.0])
    assert by_score[3.0] == 0.0


def test_simulated_wines_are_what_a_caller_could_send(tmp_path: Path) -> None:
    simulator.write(tmp_path, seed=1, rows=300, start="2024-01-01", days=30)
    tables = read_folder("wine_quality", tmp_path)
    check_schema(USE_CASE, raw.build_examples(tables), 200)


def test_the_simulator_repeats_itself_and_drifts_when_told(tmp_path: Path) -> None:
    made = {}
    for name, drift in (("same", []), ("again", []), ("riper", ["riper-years"]), ("strict", ["stricter-tasters"])):
        simulator.write(tmp_path / name, seed=1, rows=600, start="2024-01-01", days=30, drift=drift)
        made[name] = raw.build_examples(read_folder("wine_quality", tmp_path / name))
    assert made["same"].equals(made["again"])
    assert made["riper"]["alcohol"].mean() > made["same"]["alcohol"].mean() + 0.4
    assert made["strict"]["quality"].mean() < made["same"]["quality"].mean() - 0.5


def test_a_reported_wine_is_the_same_wine_as_in_the_files(read: Read) -> None:
    filed = raw.build_examples({"wines": read(f"{WINE};5").rows})
    reported = raw.build_label_examples(filed.drop(columns=["wine", "strength"]).assign(quality=[None], grade=[3.0]))
    assert reported["wine"].tolist() == filed["wine"].tolist()
    assert reported["grade"].tolist() == [3.0]  # a grade may be reported without a score
