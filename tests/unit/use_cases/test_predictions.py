"""``predictions`` and ``answer`` of every use case say the same, each in its own form."""

from __future__ import annotations

from typing import Any

import pytest

from services.core import use_case_registry
from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    RegressionPrediction,
    UseCase,
    example_request,
)
from services.prediction.api.schemas import prediction_response_model
from services.prediction.inference.response_builder import ResponseBuilder
from services.use_cases.road_accidents.answer import SEVERITIES
from services.use_cases.wine_quality.request import GRADES
from tests.toy.declaration import USE_CASE as TOY


def example(use_case: UseCase) -> dict[str, Any]:
    return use_case.serving.request.model_validate(example_request(use_case.serving.request)).model_dump()


def body(name: str, values: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    """What the rules make of the baseline, or of these values."""
    use_case = use_case_registry.get(name)
    usual, known = use_case.serving.fallback_prediction(example(use_case))
    return ResponseBuilder(use_case).body(values or usual, {**known, **facts}, example(use_case))


@pytest.mark.parametrize("use_case", [*use_case_registry.list_use_cases(), TOY], ids=lambda use_case: use_case.name)
def test_every_target_of_every_use_case_has_its_typed_prediction(use_case: UseCase) -> None:
    values, facts = use_case.serving.fallback_prediction(example(use_case))
    made = ResponseBuilder(use_case).body(values, facts, example(use_case))
    assert list(made["predictions"]) == [target.name for target in use_case.modelling.targets]
    typed = prediction_response_model(use_case).model_fields["predictions"].annotation
    typed.model_validate(made["predictions"])  # type: ignore[union-attr]


def test_a_severity_is_in_line_with_the_priority_as_in_the_answer() -> None:
    values = {
        "priority": BinaryPrediction(0.8, 0.35),
        "severity": MultiClassPrediction([0.7, 0.2, 0.1], SEVERITIES),
    }
    made = body("road_accidents", values)
    assert made["predictions"]["severity"]["probabilities"] == made["answer"]["severity"]["probabilities"]
    assert made["predictions"]["severity"]["value"] == made["answer"]["severity"]["most_likely"] == "hospital"


def test_a_wines_score_has_the_answers_cap() -> None:
    values = {
        "quality": RegressionPrediction(10.5, 9.5, 12.0),
        "grade": MultiClassPrediction([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4], GRADES),
    }
    quality = body("wine_quality", values)["predictions"]["quality"]
    assert (quality["value"], quality["lower"], quality["upper"]) == (10.0, 9.5, 10.0)


def test_product_classes_have_the_catalogues_names() -> None:
    values = {"category": MultiClassPrediction([0.2, 0.7, 0.1], ("40", "10", "50"))}
    made = body("product_category", values, names={"10": "Books"})
    category = made["predictions"]["category"]
    assert (category["value"], category["names"]) == (made["answer"]["category"], {"10": "Books"})
