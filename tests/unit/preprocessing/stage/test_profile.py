"""The picture of the examples: counts and figures by the declaration, nothing of a single row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.contract.use_case import MapSpec
from services.preprocessing.stage.profile import MIN_ROWS, build_profile
from tests.toy.bundles import make_examples
from tests.toy.declaration import USE_CASE


@pytest.fixture(scope="module")
def examples() -> pd.DataFrame:
    return make_examples(800)


@pytest.fixture(scope="module")
def made(examples: pd.DataFrame) -> dict[str, Any]:
    return build_profile(USE_CASE, examples)


def test_it_is_json_and_has_every_field_and_target_of_the_declaration(made: dict[str, Any]) -> None:
    again = json.loads(json.dumps(made, allow_nan=False))
    assert set(again["fields"]) == set(USE_CASE.serving.request.model_fields)
    assert set(again["targets"]) == {target.name for target in USE_CASE.modelling.targets}
    assert again["rows"] == 800


def test_the_counts_of_a_number_are_all_its_rows(made: dict[str, Any], examples: pd.DataFrame) -> None:
    assert sum(made["fields"]["distance"]["counts"]) == examples["distance"].notna().sum()
    assert made["fields"]["distance"]["minimum"] == pytest.approx(examples["distance"].min(), rel=1e-5)


def test_missing_is_the_share_of_blank_rows(examples: pd.DataFrame) -> None:
    blank = examples.copy()
    blank.loc[blank.index[:200], "town"] = ""
    before = (examples["town"].fillna("") == "").iloc[200:].sum()
    assert build_profile(USE_CASE, blank)["fields"]["town"]["missing"] == pytest.approx((200 + before) / 800, abs=1e-6)


def test_a_word_that_few_rows_share_is_not_shown(examples: pd.DataFrame) -> None:
    told = examples.copy()
    told.loc[told.index[: MIN_ROWS - 1], "town"] = "12 Secret Street"
    field = build_profile(USE_CASE, told)["fields"]["town"]
    assert "12 Secret Street" not in json.dumps(field)
    assert field["others"] >= MIN_ROWS - 1


def test_a_group_that_few_rows_share_is_not_shown(examples: pd.DataFrame) -> None:
    told = examples.copy()
    told["kind"] = told["kind"].astype(object)
    told.loc[told.index[: MIN_ROWS - 1], "kind"] = "alone"
    by = build_profile(USE_CASE, told)["targets"]["seconds"]["by"]["kind"]
    assert {entry["group"] for entry in by} == {"letter", "parcel"}


def test_a_target_by_hour_is_the_mean_of_the_local_hour(made: dict[str, Any], examples: pd.DataFrame) -> None:
    hour = examples["called_at"].dt.tz_convert("Europe/London").dt.hour
    expected = examples["seconds"].groupby(hour).mean()
    shown = {int(entry["group"]): entry["value"] for entry in made["targets"]["seconds"]["by"]["hour"]}
    assert shown == pytest.approx({number: expected[number] for number in shown}, rel=1e-4)
    assert len(shown) > 6


def test_classes_have_the_share_of_each_label(made: dict[str, Any]) -> None:
    for entry in made["targets"]["size"]["by"]["kind"]:
        assert sum(entry["shares"]) == pytest.approx(1, abs=1e-4)


def test_places_are_counted_in_cells_where_fields_say_where(examples: pd.DataFrame) -> None:
    placed = examples.copy()
    generator = np.random.default_rng(1)
    placed["longitude"], placed["latitude"] = generator.normal(0, 0.1, (2, len(placed)))
    found = build_profile(
        replace(USE_CASE, presentation=replace(USE_CASE.presentation, map=MapSpec("longitude", "latitude", ()))), placed
    )["places"]
    assert (found["x"], found["y"]) == ("longitude", "latitude")
    assert sum(cell[2] for cell in found["cells"]) == found["rows"] > 700
    assert len(found["cells"]) <= 60 * 60


def test_named_places_that_few_rows_share_are_not_shown(examples: pd.DataFrame) -> None:
    towns = {str(town): (float(at), 1.0) for at, town in enumerate(examples["town"].dropna().unique()) if town}
    lonely = examples.copy()
    lonely.loc[lonely.index[: MIN_ROWS - 1], "town"] = "alone"
    place = MapSpec("x", "y", (), points=towns | {"alone": (9.0, 9.0)}, name_field="town")
    found = build_profile(replace(USE_CASE, presentation=replace(USE_CASE.presentation, map=place)), lonely)["places"]
    assert {(x, y) for x, y, _ in found["cells"]} == set(towns.values())


def test_without_such_fields_there_are_no_places(made: dict[str, Any]) -> None:
    assert made["places"] is None


def test_the_same_examples_give_the_same_picture(examples: pd.DataFrame, made: dict[str, Any], tmp_path: Path) -> None:
    assert json.dumps(build_profile(USE_CASE, examples)) == json.dumps(made)
