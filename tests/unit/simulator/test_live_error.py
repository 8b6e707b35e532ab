"""How wrong answers were, told from the answers' JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic_core import to_json

from services.core import use_case_registry
from services.core.contract.use_case import example_request
from services.simulator.stats import LiveErrorStats, TargetPrediction, extract_predictions

REAL = ("fire_response", "road_accidents", "rain_tomorrow", "wine_quality")


def baseline_answer(name: str) -> dict[str, Any]:
    use_case = use_case_registry.get(name)
    fields = use_case.request.model_validate(example_request(use_case.request)).__dict__
    values, facts = use_case.baseline(fields)
    answer: dict[str, Any] = json.loads(to_json(use_case.compose(values, facts, fields)))
    return answer


@pytest.mark.parametrize("name", REAL)
def test_every_target_is_found_in_its_use_cases_answer(name: str) -> None:
    use_case = use_case_registry.get(name)
    found = extract_predictions(use_case, baseline_answer(name))
    assert set(found) == {target.name for target in use_case.targets}


def test_numbers_are_those_of_the_answer() -> None:
    answer = baseline_answer("fire_response")
    found = extract_predictions(use_case_registry.get("fire_response"), answer)
    seconds = answer["attendance_seconds"]
    assert found["attendance_seconds"] == TargetPrediction(seconds["median"], seconds["lower"], seconds["upper"])
    assert found["over_360s"] == TargetPrediction(answer["over_360s"]["probability"])
    assert found["pumps"] == TargetPrediction(answer["pumps"]["most_likely"])


def test_errors_are_means_over_what_was_reported() -> None:
    live = LiveErrorStats(use_case_registry.get("fire_response"))
    said = {
        "attendance_seconds": TargetPrediction(300.0, 200.0, 400.0),
        "over_360s": TargetPrediction(0.2),
        "pumps": TargetPrediction("1"),
    }
    live.add(said, {"attendance_seconds": 330.0, "over_360s": False, "pumps": "1"})
    live.add(said, {"attendance_seconds": 450.0, "over_360s": True})
    told = live.told()
    seconds = {"metric": "mae", "value": 90.0, "count": 2, "unit": "s", "bias": -90.0, "coverage": 0.5}
    assert told["attendance_seconds"] == seconds
    assert told["over_360s"] == {"metric": "brier", "value": 0.34, "count": 2}
    assert told["pumps"] == {"metric": "accuracy", "value": 1.0, "count": 1}


def test_what_nobody_reported_is_not_told() -> None:
    live = LiveErrorStats(use_case_registry.get("fire_response"))
    live.add({"over_360s": TargetPrediction(0.2)}, {})
    assert live.told() == {}
