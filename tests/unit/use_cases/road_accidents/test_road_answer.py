"""The rules between the models and the answer."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from services.core.contract.use_case import BinaryPrediction, MultiClassPrediction
from services.use_cases.road_accidents.answer import SEVERITIES, SHARES, THRESHOLD, build_response, fallback_prediction
from services.use_cases.road_accidents.code_labels import KIND_OF_CODE, VEHICLE_KINDS, VEHICLE_PRIORITY
from services.use_cases.road_accidents.declaration import USE_CASE
from services.use_cases.road_accidents.request import RoadAccidentRequest

CALL: dict[str, Any] = {
    "occurred_at": "2024-10-12T18:40:00",
    "urban": True,
    "road_category": "municipal",
    "collision": "side",
}


def composed(priority: float, severity: tuple[float, float, float], **fields: Any) -> dict[str, Any]:
    request = RoadAccidentRequest.model_validate({**CALL, **fields}).model_dump()
    values = {
        "priority": BinaryPrediction(priority, 0.35),
        "severity": MultiClassPrediction(list(severity), SEVERITIES),
    }
    answer = build_response(values, {}, request)
    USE_CASE.serving.answer.model_validate(answer)
    return answer


def test_the_decision_is_the_threshold_reached() -> None:
    assert composed(0.35, (0.65, 0.30, 0.05))["priority"] == {"probability": 0.35, "decision": True, "threshold": 0.35}
    assert composed(0.349, (0.65, 0.30, 0.05))["priority"]["decision"] is False


@pytest.mark.parametrize(
    ("priority", "probabilities", "word"),
    [
        (0.5, (0.5, 0.4, 0.1), "slight"),
        (0.7, (0.3, 0.5, 0.2), "hospital"),
        (0.9, (0.1, 0.3, 0.6), "killed"),
    ],
)
def test_most_likely_is_the_largest_probability(
    priority: float, probabilities: tuple[float, float, float], word: str
) -> None:
    assert composed(priority, probabilities)["severity"]["most_likely"] == word


def test_the_two_models_never_contradict_each_other() -> None:
    answer = composed(0.62, (0.48, 0.44, 0.08))["severity"]
    assert answer["most_likely"] == "hospital"
    assert answer["probabilities"]["hospital"] + answer["probabilities"]["killed"] == pytest.approx(0.62)
    assert answer["probabilities"]["killed"] / answer["probabilities"]["hospital"] == pytest.approx(0.08 / 0.44)


def test_a_severity_model_that_is_sure_of_slight_leaves_no_division_by_zero() -> None:
    assert composed(0.2, (1.0, 0.0, 0.0))["severity"]["probabilities"]["hospital"] == pytest.approx(0.2)


def test_the_response_rises_with_the_danger_of_death_and_the_number_of_people() -> None:
    assert composed(0.1, (0.9, 0.09, 0.01))["response"] == "standard"
    assert composed(0.5, (0.5, 0.45, 0.05))["response"] == "priority"
    assert composed(0.5, (0.4, 0.4, 0.2))["response"] == "maximum"
    assert composed(0.1, (0.9, 0.09, 0.01), people=12)["response"] == "maximum"


def test_the_threshold_of_the_baseline_balances_the_stated_costs() -> None:
    output: Any = USE_CASE.target("priority").output
    missed, alarm = THRESHOLD * output.cost_of_miss, (1 - THRESHOLD) * output.cost_of_false_alarm
    assert missed == pytest.approx(alarm)


@pytest.mark.parametrize(
    ("urban", "kind"), list(product([True, False], ["pedestrians", "motorcycles", "bicycles", "cars", None]))
)
def test_the_baseline_answers_any_call(urban: bool, kind: str | None) -> None:
    fields = {**CALL, "urban": urban} | ({kind: 1} if kind else {})
    values, _ = fallback_prediction(RoadAccidentRequest.model_validate(fields).model_dump())
    severity: Any = values["severity"]
    assert sum(severity.probabilities) == pytest.approx(1.0)
    assert min(severity.probabilities) >= 0


def test_a_death_is_part_of_a_priority_in_every_public_share() -> None:
    assert all(0 < killed < priority < 1 for priority, killed in SHARES.values())


def test_each_official_vehicle_code_is_one_kind_and_each_kind_a_field() -> None:
    codes = [code for kind in VEHICLE_KINDS.values() for code in kind.codes]
    assert len(codes) == len(set(codes)) == len(KIND_OF_CODE)
    assert set(VEHICLE_KINDS) <= set(RoadAccidentRequest.model_fields)
    assert {kind for _, kinds in VEHICLE_PRIORITY for kind in kinds} <= set(VEHICLE_KINDS)
