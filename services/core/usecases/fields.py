"""Describing the fields of a request so that API pages and forms can be made from them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from services.core.usecases.contract import Text


def described(
    default: Any = ...,
    *,
    title: Text,
    help: Text,
    examples: list[Any],
    unit: str | None = None,
    **bounds: Any,
) -> Any:
    """A pydantic field with its title and help in both languages, its unit, bounds and examples.

    English goes where OpenAPI expects it; French and the unit travel as ``x-`` extensions."""
    extra: dict[str, Any] = {"x-title-fr": title.fr, "x-help-fr": help.fr}
    if unit is not None:
        extra["x-unit"] = unit
    return Field(
        default,
        title=title.en,
        description=help.en,
        examples=examples,
        json_schema_extra=extra,
        **bounds,
    )
