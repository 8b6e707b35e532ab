"""What is asked and answered about a wine, and what the features make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from services.core.contract.columns import from_rows
from services.core.contract.use_case import MultiClassPrediction, RegressionPrediction
from services.use_cases.wine_quality import features
from services.use_cases.wine_quality.declaration import WineAnswer, build_response, fallback_prediction
from services.use_cases.wine_quality.request import GRADES, MEASUREMENTS, WineRequest

CALL: dict[str, Any] = {"colour": "red", **{name: what.example for name, what in MEASUREMENTS.items()}}


def test_no_score_lies_above_the_scale() -> None:
    values = {
        "quality": RegressionPrediction(9.6, 8.7, 11.2),
        "grade": MultiClassPrediction([0.0, 0.0, 0.0, 0.0, 0.1, 0.3, 0.6], GRADES),
    }
    answer = WineAnswer.model_validate(build_response(values, {}, CALL))
    assert (answer.score, answer.lower, answer.upper) == (9.6, 8.7, 10.0)
    assert answer.most_likely_grade == "9"
    assert answer.grades["8"] == 0.3


@pytest.mark.parametrize("colour", ["red", "white"])
def test_the_baseline_is_the_colours_average(colour: str) -> None:
    values, facts = fallback_prediction({**CALL, "colour": colour})
    grade = values["grade"]
    assert isinstance(grade, MultiClassPrediction)
    assert sum(grade.probabilities) == pytest.approx(1.0)
    WineAnswer.model_validate(build_response(values, facts, CALL))


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "rosé"},
        {"alcohol": None},
        {"ph": 9},
        {"free_sulfur_dioxide": 50, "total_sulfur_dioxide": 40},
        {"quality": 5},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WineRequest.model_validate({**CALL, **wrong})


def test_one_row_and_a_batch_agree_bit_for_bit() -> None:
    rows = [{**CALL, "alcohol": 9 + 0.1 * number, "colour": ("red", "white")[number % 2]} for number in range(30)]
    whole = features.features(from_rows(WineRequest, rows), None, {})
    for number, row in enumerate(rows):
        alone = features.features(from_rows(WineRequest, [row]), None, {})
        assert alone.matrices["wine"].tobytes() == whole.matrices["wine"][number].tobytes()
        assert alone.extras["colour"][0] == row["colour"]


def test_measurements_of_nothing_make_numbers() -> None:
    nothing = {**CALL, "chlorides": 0, "total_sulfur_dioxide": 0, "free_sulfur_dioxide": 0}
    nothing |= {"fixed_acidity": 0, "volatile_acidity": 0}
    made = features.features(from_rows(WineRequest, [nothing]), None, {}).matrices["wine"]
    assert np.isfinite(made).all()


def test_every_feature_is_made_of_request_fields() -> None:
    assert {field for fields in features.FEATURE_INPUTS.values() for field in fields} == set(WineRequest.model_fields)
    assert set(features.FEATURE_INPUTS) == set(features.FEATURE_NAMES["wine"])
