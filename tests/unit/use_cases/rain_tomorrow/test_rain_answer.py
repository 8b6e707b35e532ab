"""What is asked and answered about tomorrow."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.core.contract.use_case import BinaryPrediction
from services.use_cases.rain_tomorrow.answer import (
    AFTER_DRY,
    AFTER_RAIN,
    USUAL,
    RainAnswer,
    build_response,
    fallback_prediction,
)
from services.use_cases.rain_tomorrow.request import RainRequest

FACTS = {"own_days": 6, "other_stations": 40}


def answered(probability: float) -> dict[str, Any]:
    values = {"rain": BinaryPrediction(probability, 0.36)}
    answer = build_response(values, FACTS, {})
    RainAnswer.model_validate(answer)
    return answer


def test_the_expected_accuracy_is_that_of_the_decision() -> None:
    assert (answered(0.8)["decision"], answered(0.8)["expected_accuracy"]) == (True, 0.8)
    assert answered(0.4)["expected_accuracy"] == 0.4  # announced, because a missed rain costs more
    assert answered(0.1)["expected_accuracy"] == pytest.approx(0.9)


@pytest.mark.parametrize(("rainfall", "share"), [(None, USUAL), (0.0, AFTER_DRY), (1.0, AFTER_DRY), (1.2, AFTER_RAIN)])
def test_the_baseline_is_persistence(rainfall: float | None, share: float) -> None:
    values, facts = fallback_prediction({"rainfall": rainfall})
    rain = values["rain"]
    assert isinstance(rain, BinaryPrediction)
    assert rain.probability == share
    assert facts["other_stations"] == 0


def test_a_station_and_a_date_are_enough() -> None:
    request = RainRequest.model_validate({"station": "Hobart", "date": "2015-11-03"})
    assert request.humidity_3pm is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("station", "Atlantis"),
        ("station", 12),
        ("date", "tomorrow"),
        ("humidity_3pm", 101),
        ("wind_direction_9am", 4),
        ("cloud_9am", -1),
        ("risk_mm", 3.0),
    ],
)
def test_what_cannot_be_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        RainRequest.model_validate({"station": "Hobart", "date": "2015-11-03", field: value})
