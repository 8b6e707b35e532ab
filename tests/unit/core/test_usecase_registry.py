"""Use cases are found by their packages and say so when they are not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.core.errors import VigieError
from services.core.settings import CHECKOUT
from services.core.usecases import columns, pictures, registry, soundness
from services.core.usecases.contract import example_request


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(VigieError) as raised:
        registry.get("fire_respnse")
    assert "fire_respnse" in str(raised.value)
    assert "fire_response" in str(raised.value)


@pytest.mark.parametrize("name", registry.names())
def test_every_field_of_every_request_has_words_in_both_languages_and_examples(name: str) -> None:
    for field, info in registry.get(name).request.model_fields.items():
        extra = info.json_schema_extra
        assert isinstance(extra, dict), field
        assert info.title and info.description and info.examples, field  # noqa: PT018 - one statement about one field
        assert extra["x-title-fr"] and extra["x-help-fr"], field  # noqa: PT018


@pytest.mark.parametrize("name", registry.names())
def test_every_request_can_become_columns_and_its_examples_are_a_valid_request(name: str) -> None:
    model = registry.get(name).request
    request = model.model_validate(example_request(model))
    fields = request.model_dump()
    pictures.unpack(columns.images(model), fields)
    made = columns.from_rows(model, [fields])
    assert set(made) == set(model.model_fields)


def test_the_example_request_has_its_old_name_for_one_release() -> None:
    model = registry.get("wine_quality").request
    with pytest.warns(DeprecationWarning, match="example_request"):
        assert soundness.example(model) == example_request(model)


@pytest.mark.parametrize("name", registry.names())
def test_the_baseline_answers_the_example_request_in_the_declared_form(name: str) -> None:
    use_case = registry.get(name)
    request = use_case.request.model_validate(example_request(use_case.request)).model_dump()
    values, facts = use_case.baseline(request)
    assert set(values) == {target.name for target in use_case.targets}
    use_case.answer.model_validate(use_case.compose(values, facts, request))


@pytest.mark.parametrize("name", registry.names())
def test_a_declaration_is_loaded_without_the_heavy_libraries(name: str) -> None:
    """Airflow and the dashboard load declarations too."""
    code = (
        f"from services.core.usecases import registry; registry.get({name!r}); import sys; "
        "print([m for m in ('numpy', 'pandas', 'xgboost', 'mlflow', 'sklearn', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
