"""Use cases are found by their packages and say so when they are not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.core import use_case_registry
from services.core.contract import columns, image_decoding
from services.core.contract.fields import image_fields
from services.core.contract.use_case import example_request
from services.core.errors import VigieError
from services.core.settings import CHECKOUT


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(VigieError) as raised:
        use_case_registry.get("fire_respnse")
    assert "fire_respnse" in str(raised.value)
    assert "fire_response" in str(raised.value)


@pytest.mark.parametrize("name", use_case_registry.names())
def test_every_field_of_every_request_has_words_in_both_languages_and_examples(name: str) -> None:
    for field, info in use_case_registry.get(name).serving.request.model_fields.items():
        extra = info.json_schema_extra
        assert isinstance(extra, dict), field
        assert info.title and info.description and info.examples, field  # noqa: PT018 - one statement about one field
        assert extra["x-title-fr"] and extra["x-help-fr"], field  # noqa: PT018


@pytest.mark.parametrize("name", use_case_registry.names())
def test_every_request_can_become_columns_and_its_examples_are_a_valid_request(name: str) -> None:
    model = use_case_registry.get(name).serving.request
    request = model.model_validate(example_request(model))
    fields = request.model_dump()
    image_decoding.decode_fields(image_fields(model), fields)
    made = columns.from_rows(model, [fields])
    assert set(made) == set(model.model_fields)


@pytest.mark.parametrize("name", use_case_registry.names())
def test_the_baseline_answers_the_example_request_in_the_declared_form(name: str) -> None:
    use_case = use_case_registry.get(name)
    request = use_case.serving.request.model_validate(example_request(use_case.serving.request)).model_dump()
    values, facts = use_case.serving.fallback_prediction(request)
    assert set(values) == {target.name for target in use_case.modelling.targets}
    use_case.serving.answer.model_validate(use_case.serving.build_response(values, facts, request))


@pytest.mark.parametrize("name", use_case_registry.names())
def test_a_declaration_is_loaded_without_the_heavy_libraries(name: str) -> None:
    """Airflow and the dashboard load declarations too."""
    code = (
        f"from services.core import use_case_registry; use_case_registry.get({name!r}); import sys; "
        "print([m for m in ('numpy', 'pandas', 'xgboost', 'mlflow', 'sklearn', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
