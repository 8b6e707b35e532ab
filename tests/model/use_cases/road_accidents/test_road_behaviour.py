"""How a trained ``road_accidents`` model behaves: on simulated data, with its declared learners at a third of
their rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor, to_scalars
from services.core.contract import columns as column_tools
from services.core.contract.use_case import BinaryPrediction, BoostedTrees, Columns, Target, UseCase
from services.core.params import Train
from services.core.scoring import score, score_baseline
from services.training.stage.train import train
from services.use_cases.road_accidents import raw, simulator
from services.use_cases.road_accidents.answer import RoadAccidentAnswer
from services.use_cases.road_accidents.declaration import USE_CASE
from services.use_cases.road_accidents.request import RoadAccidentRequest

pytestmark = pytest.mark.slow  # it trains models

CALL: dict[str, Any] = {
    "occurred_at": "2024-06-12T18:40:00+02:00",
    "urban": False,
    "road_category": "departmental",
    "collision": "head_on",
    "cars": 2,
    "people": 3,
    "department": "69",
    "commune": "69007",
    "road": "D7",
    "speed_limit": 80,
    "light": "daylight",
}


def _quicker(target: Target) -> Target:
    members = tuple(replace(member, num_boost_round=member.num_boost_round // 3) for member in target.learner.members)
    return replace(target, learner=BoostedTrees(members=members))


QUICK: UseCase = replace(
    USE_CASE,
    modelling=replace(USE_CASE.modelling, targets=tuple(_quicker(target) for target in USE_CASE.modelling.targets)),
)


def read(folder: Path) -> pd.DataFrame:
    tables = {}
    for name in ("caracteristiques", "lieux", "vehicules", "usagers"):
        (path,) = folder.glob(f"{name}*.csv")
        frame = pd.read_csv(path, sep=";", dtype="str", keep_default_na=False)
        tables[name] = raw.parse_table(name, frame.assign(line=range(2, len(frame) + 2))).rows
    return raw.build_examples(tables)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("road-behaviour")
    simulator.write(folder / "files", seed=11, rows=6_000, start="2024-01-01", days=150)
    simulator.write(folder / "later", seed=12, rows=2_000, start="2024-06-01", days=60)
    train(QUICK, read(folder / "files"), {}, {}, params=Train(), folder=folder / "bundle", simulated=True)
    return SimpleNamespace(predictor=Predictor(QUICK, folder / "bundle"), later=read(folder / "later"), folder=folder)


def priority(trained: Any, columns: Columns) -> np.ndarray:
    value = trained.predictor.predict(columns, {}).values["priority"]
    assert isinstance(value, BinaryPrediction)
    return np.asarray(value.probability)


def of_call(trained: Any, **fields: Any) -> float:
    request = RoadAccidentRequest.model_validate({**CALL, **fields})
    return float(priority(trained, column_tools.from_rows(RoadAccidentRequest, [request.model_dump()]))[0])


def changed(trained: Any, **fields: Any) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the later accidents as they are, and with these fields set throughout."""
    columns = column_tools.from_frame(RoadAccidentRequest, trained.later)
    other = dict(columns)
    for name, value in fields.items():
        other[name] = columns[name].copy()
        other[name][:] = value
    return priority(trained, columns), priority(trained, other)


def test_it_clearly_beats_the_baseline_on_later_accidents(trained: Any) -> None:
    found = score(trained.predictor, trained.later, {})["metrics"]["priority"]
    baseline = score_baseline(USE_CASE, trained.later, {})["metrics"]["priority"]
    assert found["roc_auc"] > baseline["roc_auc"] + 0.05
    assert found["brier"] < baseline["brier"] - 0.02
    assert found["ece"] < 0.05


def test_a_road_on_which_people_get_killed_raises_the_risk(trained: Any) -> None:
    _, town = changed(trained, urban=1.0, road_category="municipal", speed_limit=30.0)
    _, country = changed(trained, urban=0.0, road_category="departmental", speed_limit=90.0)
    assert country.mean() > town.mean() + 0.1
    assert (country > town).mean() > 0.9


@pytest.mark.parametrize(
    ("graver", "milder"),
    [
        ({"collision": "head_on"}, {"collision": "rear_end"}),
        ({"obstacle": "tree"}, {"obstacle": "none"}),
        ({"intersection": "none"}, {"intersection": "roundabout"}),
        ({"bend": "left"}, {"bend": "straight"}),
        ({"speed_limit": 80.0}, {"speed_limit": 30.0}),
    ],
)
def test_what_makes_accidents_graver_raises_the_average_risk(
    trained: Any, graver: dict[str, Any], milder: dict[str, Any]
) -> None:
    assert changed(trained, **graver)[1].mean() > changed(trained, **milder)[1].mean()


def test_a_motorcycle_is_at_greater_risk_than_a_car(trained: Any) -> None:
    assert of_call(trained, cars=1, motorcycles=1) > of_call(trained, cars=2)


@pytest.mark.parametrize(
    "same",
    [
        {"occurred_at": "2024-06-12T16:40:00Z"},
        {"occurred_at": "2024-06-12T18:40:00"},
        {"occurred_at": "2023-06-14T18:40:00+02:00"},
        {"road": "d7"},
        {"road": "RD 7 "},
        {"department": None},
        {"longitude": 4.8},
    ],
)
def test_what_means_nothing_changes_nothing(trained: Any, same: dict[str, Any]) -> None:
    """Spelling, the zone that a time is written in, the year, a department that the commune tells already, half a
    place."""
    assert of_call(trained, **same) == of_call(trained)


def test_a_call_without_details_is_less_sure_and_still_calibrated(trained: Any) -> None:
    columns = column_tools.from_frame(RoadAccidentRequest, trained.later)
    without_details, _ = column_tools.of_variant(USE_CASE, USE_CASE.modelling.input_scenarios[0], columns, {})
    full, bare = priority(trained, columns), priority(trained, without_details)
    happened = trained.later["priority"].mean()
    assert bare.std() < full.std()
    assert abs(bare.mean() - happened) < 0.05
    assert abs(full.mean() - happened) < 0.05


def test_one_call_and_a_batch_are_answered_alike_bit_for_bit(trained: Any) -> None:
    columns = column_tools.from_frame(RoadAccidentRequest, trained.later)
    batch = priority(trained, columns)
    for index in range(0, len(batch), 211):
        assert priority(trained, column_tools.select_rows(columns, np.array([index])))[0] == batch[index]


def test_every_answer_is_valid_and_its_probabilities_sum_to_one(trained: Any) -> None:
    later = trained.later.head(300)
    prediction = trained.predictor.predict(column_tools.from_frame(RoadAccidentRequest, later), {})
    records: list[Any] = later.to_dict("records")
    for index, record in enumerate(records):
        values, facts = to_scalars(prediction, index)
        answer = RoadAccidentAnswer.model_validate(USE_CASE.serving.build_response(values, facts, record))
        assert sum(answer.severity.probabilities.model_dump().values()) == pytest.approx(1.0)
        assert answer.priority.decision == (answer.priority.probability >= answer.priority.threshold)


@pytest.mark.parametrize("drift", simulator.DRIFTS)
def test_drift_makes_the_probabilities_wrong(trained: Any, tmp_path: Path, drift: str) -> None:
    simulator.write(tmp_path, seed=12, rows=2_000, start="2024-06-01", days=60, drift=[drift])
    drifted = score(trained.predictor, read(tmp_path), {})["metrics"]["priority"]
    usual = score(trained.predictor, trained.later, {})["metrics"]["priority"]
    assert drifted["ece"] > usual["ece"] + 0.02
