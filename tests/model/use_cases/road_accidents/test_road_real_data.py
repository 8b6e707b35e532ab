"""A quarter of a real year, read from the official files: trained on its start, judged on its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.contract import columns as column_tools
from services.core.contract.use_case import BinaryPrediction, BoostedTrees
from services.core.params import Train
from services.core.scoring import score, score_baseline
from services.training.stage.train import train
from services.use_cases.road_accidents import raw
from services.use_cases.road_accidents.declaration import USE_CASE
from services.use_cases.road_accidents.request import RoadAccidentRequest

pytestmark = pytest.mark.slow  # it trains models

QUICK = replace(
    USE_CASE,
    modelling=replace(
        USE_CASE.modelling,
        targets=tuple(
            replace(
                target,
                learner=BoostedTrees(
                    tuple(replace(m, num_boost_round=m.num_boost_round // 3) for m in target.learner.members)
                ),
            )
            for target in USE_CASE.modelling.targets
        ),
    ),
)


@pytest.fixture(scope="module")
def quarter(shared_data: Path) -> pd.DataFrame:
    """Examples of the accidents of January to March 2024."""
    folder = shared_data / "road_accidents" / "2024-jan-sep"
    frames = {
        name: pd.read_csv(folder / f"{name}-2024.csv", sep=";", dtype="str", keep_default_na=False)
        for name in ("caracteristiques", "lieux", "vehicules", "usagers")
    }
    first = frames["caracteristiques"]
    chosen = set(first.loc[first["mois"].isin(["1", "2", "3"]), "Num_Acc"])
    tables = {}
    for name, frame in frames.items():
        kept = frame[frame["Num_Acc"].isin(chosen)]
        tables[name] = raw.parse_table(name, kept.assign(line=range(2, len(kept) + 2))).rows
    return raw.build_examples(tables)


@pytest.fixture(scope="module")
def later(quarter: pd.DataFrame) -> pd.DataFrame:
    return quarter.tail(2_500).reset_index(drop=True)


@pytest.fixture(scope="module")
def predictor(quarter: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("road-real") / "bundle"
    train(QUICK, quarter.head(len(quarter) - 2_500), {}, {}, params=Train(), folder=folder, simulated=False)
    return Predictor(QUICK, folder)


def mean_of(predictor: Predictor, columns: dict[str, Any], **fields: Any) -> float:
    changed = dict(columns)
    for name, value in fields.items():
        changed[name] = columns[name].copy()
        changed[name][:] = value
    value = predictor.predict(changed, {}).values["priority"]
    assert isinstance(value, BinaryPrediction)
    return float(np.mean(value.probability))


def test_a_quarter_of_a_year_is_enough_to_be_useful(predictor: Predictor, later: pd.DataFrame) -> None:
    found = score(predictor, later, {})["metrics"]
    baseline = score_baseline(USE_CASE, later, {})["metrics"]["priority"]
    assert found["priority"]["roc_auc"] > 0.78
    assert found["priority"]["roc_auc"] > baseline["roc_auc"] + 0.08
    assert found["priority"]["f1"] > 0.62
    assert found["priority"]["ece"] < 0.05
    assert found["severity"]["f1_weighted"] > 0.65


def test_the_place_is_worth_knowing(predictor: Predictor, later: pd.DataFrame) -> None:
    nowhere = later.assign(latitude=np.nan, longitude=np.nan, department="", commune="", road="")
    known = score(predictor, later, {})["metrics"]["priority"]["roc_auc"]
    unknown = score(predictor, nowhere, {})["metrics"]["priority"]["roc_auc"]
    assert known > unknown + 0.02


def test_the_road_category_on_which_more_people_are_killed_has_the_higher_risk(
    predictor: Predictor, later: pd.DataFrame
) -> None:
    columns = column_tools.from_frame(RoadAccidentRequest, later)
    departmental = mean_of(predictor, columns, road_category="departmental")
    municipal = mean_of(predictor, columns, road_category="municipal")
    metropolitan = mean_of(predictor, columns, road_category="metropolitan")
    assert departmental > municipal > 0
    assert departmental > metropolitan


def test_a_head_on_collision_is_graver_than_one_from_behind(predictor: Predictor, later: pd.DataFrame) -> None:
    columns = column_tools.from_frame(RoadAccidentRequest, later)
    assert mean_of(predictor, columns, collision="head_on") > mean_of(predictor, columns, collision="rear_end")
