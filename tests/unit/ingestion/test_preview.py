"""Checking a folder before anything is stored, and confirming values that are doubted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import typer

from services.core import use_case_registry
from services.core.contract.use_case import Plausible, UseCase
from services.core.errors import VigieError
from services.core.params import Ingest, Simulate
from services.core.paths import VigiePaths
from services.core.raw_files import landing
from services.ingestion.preview import preview, preview_in_process
from services.ingestion.sources.acquire import AcquireResult, acquire
from services.ingestion.stage.ingest import ingest
from tests.mutations.bases import base

SMALL = Ingest(simulate=Simulate(rows=50, days=3))
Deliveries = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path) -> VigiePaths:
    return VigiePaths(tmp_path / "home")


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, toy: UseCase) -> UseCase:
    """The toy, of whose deliveries at most a tenth are letters."""
    (table,) = toy.data.tables
    doubtful = replace(table, plausible=(Plausible("kind", shares={"letter": (0.0, 0.1)}),))
    doubted = replace(toy, data=replace(toy.data, tables=(doubtful,)))
    monkeypatch.setattr(use_case_registry, "get", cache(lambda _: doubted))
    return doubted


def letters(deliveries: Deliveries, delivery: Callable[..., tuple[str, ...]]) -> Path:
    return deliveries("drop/letters.csv", [], *(delivery(number, kind="letter") for number in range(30))).parent


def test_it_says_what_would_be_understood_with_five_rows_and_stores_nothing(
    home: VigiePaths, tmp_path: Path, deliveries: Deliveries
) -> None:
    folder = deliveries("drop/a.csv", range(30)).parent
    (folder / "page.csv").write_text("<html></html>")
    before = sorted(tmp_path.rglob("*"))
    answer = preview(home, "toy", folder)
    assert sorted(tmp_path.rglob("*")) == before
    (file,) = answer["files"]
    assert (file["file"], file["table"], file["rows"], file["quarantined"]) == ("a.csv", "deliveries", 30, 0)
    assert [row["delivery_id"] for row in file["sample"]] == ["D0000", "D0001", "D0002", "D0003", "D0004"]
    assert file["sample"][0]["distance"] == "3.5"
    assert list(answer["left_aside"]) == ["page.csv"]
    assert (answer["recognised"], answer["refusals"]) == (True, [])


def test_it_says_why_an_ingestion_would_be_refused(
    home: VigiePaths, deliveries: Deliveries, delivery: Callable[..., tuple[str, ...]]
) -> None:
    answer = preview(home, "toy", letters(deliveries, delivery))
    (refusal,) = answer["refusals"]
    assert "kind of deliveries: letter in 30 of 30 rows (100%), possible are at most 10%" in refusal["problem"]
    assert "--confirm v" in refusal["action"]


def test_new_files_are_checked_together_with_those_that_landed(
    home: VigiePaths, deliveries: Deliveries, delivery: Callable[..., tuple[str, ...]]
) -> None:
    landed = home.data("toy") / "landing"
    with deliveries("sent/first.csv", range(5)).open("rb") as stream:
        landing.add_file(landed, "folder", "first.csv", stream)
    answer = preview(home, "toy", deliveries("drop/second.csv", range(5, 9)).parent)
    assert [file["file"] for file in answer["files"]] == ["second.csv"]
    (file,) = landing.list_files(landed)
    file.path.write_text("delivery_id,distance\n1,2\n")
    problems = [
        refusal["problem"] for refusal in preview(home, "toy", deliveries("drop/second.csv", [5]).parent)["refusals"]
    ]
    assert problems[0].startswith("already there/first.csv")


def test_a_folder_that_is_not_there_is_an_error_also_from_the_process(home: VigiePaths, tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="is not a folder"):
        preview_in_process(home, "wine_quality", tmp_path / "nowhere")


def test_the_process_answers_as_the_function_does(home: VigiePaths, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "page.csv").write_text("<html></html>")
    answer = preview_in_process(home, "wine_quality", tmp_path / "drop")
    assert (
        answer == preview(home, "wine_quality", tmp_path / "drop") | {"use_case": "wine_quality"}
        or answer["files"] == []
    )
    assert "a web page" in answer["left_aside"]["page.csv"]


def test_confirmed_values_are_taken_and_stay_confirmed(
    tmp_path: Path, home: VigiePaths, deliveries: Deliveries, delivery: Callable[..., tuple[str, ...]]
) -> None:
    folder, root = letters(deliveries, delivery), tmp_path / "workspace"
    landed = root / "data" / "toy" / "landing"
    acquire("toy", str(folder), landed, home=home)
    with pytest.raises(VigieError, match=r"letters\.csv: kind of deliveries: letter in 30 of 30") as caught:
        ingest("toy", root, SMALL)
    code = caught.value.action.partition("--confirm ")[2].partition(" ")[0]
    acquire("toy", str(folder), landed, home=home, confirm=[code])
    ingest("toy", root, SMALL)
    ingest("toy", root, SMALL)
    assert landing.confirmed_codes(landed) == {code}


def test_a_confirmation_touches_no_other_state_that_shares_the_file(tmp_path: Path) -> None:
    landing.confirm(tmp_path / "a", ["v1111111"])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".confirmed").hardlink_to(tmp_path / "a" / ".confirmed")
    landing.confirm(tmp_path / "b", ["v2222222"])
    assert landing.confirmed_codes(tmp_path / "a") == {"v1111111"}
    assert landing.confirmed_codes(tmp_path / "b") == {"v1111111", "v2222222"}


def test_the_screen_names_what_was_left_aside_and_why() -> None:
    ignored = {f"{number}.png": "neither text nor a workbook" for number in range(12)} | {"june.csv": "a web page"}
    lines = AcquireResult("folder", simulated=False, added=("a.csv",), ignored=ignored).lines()
    assert lines[:2] == ["files from folder (real): 1 new, 0 known", "left aside: june.csv: a web page"]
    assert lines[-1] == "left aside: 3 more files"


def test_the_command_line_finds_the_use_case_and_exits_1_where_an_ingestion_would_be_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from services.cli.commands.data import ingest as command

    monkeypatch.undo()  # the real use cases
    monkeypatch.setenv("VIGIE_HOME", str(tmp_path / "home"))
    for name, sheet in base("accidents before 2019").items():
        (tmp_path / name).write_bytes(sheet.content())
    command(check=tmp_path)
    text = capsys.readouterr().out
    assert "road_accidents" in text
    assert "usagers_2015.csv: 45 rows of usagers, 0 to quarantine" in text
    assert "Nothing was stored" in text
    (tmp_path / "usagers_2015.csv").write_text("<html></html>")
    with pytest.raises(typer.Exit) as caught:
        command(check=tmp_path)
    assert caught.value.exit_code == 1
    assert "usagers_2015.csv: left aside: a web page" in capsys.readouterr().out
