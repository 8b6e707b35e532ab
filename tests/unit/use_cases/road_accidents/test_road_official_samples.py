"""Small cuts of the real files, every layout from the file to the examples."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from services.core.contract import columns as column_tools
from services.use_cases.road_accidents import features, raw
from services.use_cases.road_accidents.request import RoadAccidentRequest

ROWS = 1_500


def cut_of(folder: Path) -> tuple[dict[str, pd.DataFrame], int]:
    """The first accidents of a folder and all that belongs to them, and the number of faults."""
    tables: dict[str, pd.DataFrame] = {}
    faults = 0
    for name in ("caracteristiques", "lieux", "vehicules", "usagers"):
        (path,) = folder.glob(f"{name}*.csv")
        old = "2016" in path.name
        frame = pd.read_csv(
            path, sep="," if old else ";", encoding="latin-1" if old else "utf-8", dtype="str",
            keep_default_na=False, nrows=ROWS * (1 if name == "caracteristiques" else 3),
        )  # fmt: skip
        frame["line"] = range(2, len(frame) + 2)
        checked = raw.parse_table(name, frame)
        tables[name] = checked.rows.drop(columns="line")
        faults += len(checked.rejected)
    return tables, faults


@pytest.mark.parametrize(
    ("folder", "expected", "roads", "places"),
    [("2016-excerpt", 600, 0.5, 0.5), ("cyclists-2021", 1_400, 0.0, 0.99), ("cyclists-2023", 1_400, 0.0, 0.99),
     ("2024-jan-sep", 1_400, 0.9, 0.99)],
)  # fmt: skip
def test_every_official_layout_makes_examples(
    shared_data: Path, folder: str, expected: int, roads: float, places: float
) -> None:
    tables, faults = cut_of(shared_data / "road_accidents" / folder)
    examples = raw.build_examples(tables)

    assert faults == 0
    assert len(examples) >= expected
    assert examples["accident"].is_unique
    assert (examples["road"] != "").mean() >= roads
    assert examples["latitude"].notna().mean() >= places
    assert (examples["department"] != "").all()
    assert (examples["commune"] != "").mean() > 0.99
    assert set(examples["severity"].dropna()) == {0.0, 1.0, 2.0}
    assert (examples["people"] >= examples["pedestrians"]).all()


def test_real_accidents_are_valid_calls_and_have_features(shared_data: Path) -> None:
    tables, _ = cut_of(shared_data / "road_accidents" / "2024-jan-sep")
    examples = raw.build_examples(tables)
    columns = column_tools.from_frame(RoadAccidentRequest, examples)
    labels = {"priority": examples["priority"].to_numpy(dtype="float64")}
    fitted = features.prepare(features.fit(columns, labels, {}, {}))
    matrix = features.features(columns, fitted, {}).matrices["accident"]
    assert matrix.shape == (len(examples), len(features.NAMES))
    for record in examples.head(50)[list(RoadAccidentRequest.model_fields)].to_dict("records"):
        told = {name: value for name, value in record.items() if value != "" and not pd.isna(value)}
        RoadAccidentRequest.model_validate(told)


def test_features_of_2016_and_2024_are_one_language(shared_data: Path) -> None:
    """A model of one year can be asked about another: words and codes are the same."""
    old = raw.build_examples(cut_of(shared_data / "road_accidents" / "2016-excerpt")[0])
    new = raw.build_examples(cut_of(shared_data / "road_accidents" / "2024-jan-sep")[0])
    for name in ("light", "weather", "collision", "road_category", "intersection", "obstacle", "bend"):
        common = set(old[name]) & set(new[name])
        assert len(common) >= 4
    assert set(old["commune"]) & set(new["commune"])
