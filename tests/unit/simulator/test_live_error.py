"""How wrong answers were, told from the answers' JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic_core import to_json

from services.core.usecases import registry
from services.core.usecases.contract import example_request
from services.simulator.live_error import Guess, LiveError, guesses

REAL = ("fire_response", "road_accidents", "rain_tomorrow", "wine_quality")


def baseline_answer(name: str) -> dict[str, Any]:
    use_case = registry.get(name)
    fields = use_case.request.model_validate(example_request(use_case.request)).__dict__
    values, facts = use_case.baseline(fields)
    answer: dict[str, Any] = json.loads(to_json(use_case.compose(values, facts, fields)))
    return answer


@pytest.mark.parametrize("name", REAL)
def test_every_target_is_found_in_its_use_cases_answer(name: str) -> None:
    use_case = registry.get(name)
    found = guesses(use_case, baseline_answer(name))
    assert set(found) == {target.name for target in use_case.targets}


def test_numbers_are_those_of_the_answer() -> None:
    answer = baseline_answer("fire_response")
    found = guesses(registry.get("fire_response"), answer)
    seconds = answer["attendance_seconds"]
    assert found["attendance_seconds"] == Guess(seconds["median"], seconds["lower"], seconds["upper"])
    assert found["over_360s"] == Guess(answer["over_360s"]["probability"])
    assert found["pumps"] == Guess(answer["pumps"]["most_likely"])


def test_errors_are_means_over_what_was_reported() -> None:
    live = LiveError(registry.get("fire_response"))
    said = {"attendance_seconds": Guess(300.0, 200.0, 400.0), "over_360s": Guess(0.2), "pumps": Guess("1")}
    live.add(said, {"attendance_seconds": 330.0, "over_360s": False, "pumps": "1"})
    live.add(said, {"attendance_seconds": 450.0, "over_360s": True})
    told = live.told()
    seconds = {"metric": "mae", "value": 90.0, "count": 2, "unit": "s", "bias": -90.0, "coverage": 0.5}
    assert told["attendance_seconds"] == seconds
    assert told["over_360s"] == {"metric": "brier", "value": 0.34, "count": 2}
    assert told["pumps"] == {"metric": "accuracy", "value": 1.0, "count": 1}


def test_what_nobody_reported_is_not_told() -> None:
    live = LiveError(registry.get("fire_response"))
    live.add({"over_360s": Guess(0.2)}, {})
    assert live.told() == {}
