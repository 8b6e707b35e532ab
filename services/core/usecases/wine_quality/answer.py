"""What is answered about a wine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.core.usecases.contract import ClassesValue, QuantityValue, Value
from services.core.usecases.wine_quality.measurements import GRADES

Grade = Literal["3", "4", "5", "6", "7", "8", "9"]
HIGHEST = 10.0


class WineAnswer(BaseModel):
    score: float = Field(description="Expected score, 0 to 10: the middle of at least three tasters' grades.")
    lower: float = Field(description="Lower end of the 90 % interval.")
    upper: float = Field(description="Upper end of the 90 % interval.")
    most_likely_grade: Grade = Field(description="The most probable single grade.")
    grades: dict[Grade, float] = Field(description="Probability of each grade; they sum to 1.")


def compose(values: Mapping[str, Value], facts: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's fields for one row. No score is above ``HIGHEST``."""
    quality, grade = values["quality"], values["grade"]
    assert isinstance(quality, QuantityValue)
    assert isinstance(grade, ClassesValue)
    shares = grade.probabilities
    return {
        "score": min(quality.value, HIGHEST),
        "lower": min(quality.lower, HIGHEST),
        "upper": min(quality.upper, HIGHEST),
        "most_likely_grade": GRADES[max(range(len(GRADES)), key=shares.__getitem__)],
        "grades": dict(zip(GRADES, shares, strict=True)),
    }


_USUAL = {
    "red": (5.6, 0.8, (0.01, 0.03, 0.43, 0.40, 0.12, 0.01, 0.00)),
    "white": (5.9, 0.9, (0.005, 0.035, 0.295, 0.45, 0.175, 0.035, 0.005)),
}
"""Published mean score, spread and shares of grades by colour."""


def baseline(request: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, Any]]:
    """The colour's average."""
    mean, spread, shares = _USUAL[request["colour"]]
    half = 1.645 * spread
    values: dict[str, Value] = {
        "quality": QuantityValue(mean, mean - half, mean + half),
        "grade": ClassesValue(list(shares), GRADES),
    }
    return values, {"colour": request["colour"]}
