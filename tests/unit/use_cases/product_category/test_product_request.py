"""What a caller may say about a product."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.core.contract.columns import column_types, free_text_fields
from services.core.contract.fields import image_fields
from services.use_cases.product_category.request import ProductRequest


@pytest.mark.parametrize("sent", [{"title": "Sac"}, {"description": "<p>Sac</p>"}, {"image": "AAAA"}])
def test_one_of_the_three_is_enough(sent: dict[str, Any]) -> None:
    ProductRequest.model_validate(sent)


@pytest.mark.parametrize(
    "sent", [{}, {"title": ""}, {"title": "<br/>&nbsp;", "description": " - "}, {"title": None, "image": None}]
)
def test_nothing_to_go_by_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="title, description and image"):
        ProductRequest.model_validate(sent)


@pytest.mark.parametrize("sent", [{"title": "x" * 1_001}, {"title": 3}, {"title": "Sac", "path": "/etc/passwd"}])
def test_long_texts_other_kinds_and_other_fields_are_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProductRequest.model_validate(sent)


def test_pictures_and_free_texts_are_known_as_such() -> None:
    assert column_types(ProductRequest) == {"title": "text", "description": "text", "image": "image"}
    assert list(image_fields(ProductRequest)) == ["image"]
    assert free_text_fields(ProductRequest) == {"title", "description"}


def test_the_schema_tells_forms_that_a_file_is_asked_for() -> None:
    (sent, _) = ProductRequest.model_json_schema()["properties"]["image"]["anyOf"]
    assert sent["contentEncoding"] == "base64"
    assert sent["x-image"]["formats"] == ["image/jpeg", "image/png", "image/webp"]
