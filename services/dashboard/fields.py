"""A request's fields as a form needs them: kind, title, help, unit, bounds and words, from the declaration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from services.core.usecases.columns import allowed, kinds
from services.core.usecases.contract import Text, UseCase
from services.core.usecases.fields import Image
from services.dashboard.formats import Formats
from services.dashboard.words import Words


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    title: Text
    help: Text
    unit: str
    required: bool
    default: Any
    low: float | None
    high: float | None
    longest: int | None
    words: tuple[str, ...]
    whole: bool
    free_text: bool
    image: Image | None

    def bounds(self, formats: Formats) -> str:
        """``0 – 500 m``; empty where there are none."""
        digits = 0 if all(float(end or 0).is_integer() for end in (self.low, self.high)) else 1
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{formats.number(self.low, digits)} – {formats.number(self.high, digits)}{unit}"
        if self.low is not None:
            return f"≥ {formats.number(self.low, digits)}{unit}"
        return f"≤ {formats.number(self.high, digits)}{unit}" if self.high is not None else ""

    def label(self, words: Words) -> str:
        return words.of(self.title) + (f" ({self.unit})" if self.unit else "")


@cache
def fields_of(model: type[BaseModel]) -> dict[str, Field]:
    """The fields in the declaration's order."""
    return {
        name: _field(model, name, info, kind)
        for (name, info), kind in zip(model.model_fields.items(), kinds(model).values(), strict=True)
    }


def title_of(use_case: UseCase, name: str, words: Words) -> str:
    """A field's title; ``context`` is what comes from outside."""
    known = fields_of(use_case.request)
    return words.of(known[name].title) if name in known else words.known(f"terms.{name}", name)


@dataclass(frozen=True, slots=True)
class Checked:
    """``payload`` as it is sent (without empty fields); ``values`` where it is valid; ``faults`` by field, "" for the
    whole."""

    payload: dict[str, Any]
    values: dict[str, Any] | None
    faults: dict[str, str]


def checked(model: type[BaseModel], payload: Mapping[str, Any], words: Words, formats: Formats) -> Checked:
    """Validate as the service does, with the declaration's own model."""
    given = {name: value for name, value in payload.items() if value is not None and value != ""}
    try:
        found = model.model_validate(given)
    except ValidationError as error:
        known = fields_of(model)
        faults: dict[str, str] = {}
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            name = str(fault["loc"][0]) if fault["loc"] else ""
            faults.setdefault(name, _message(fault["type"], fault["msg"], known.get(name), words, formats))
        return Checked(given, None, faults)
    return Checked(given, found.model_dump(), {})


def _message(kind: str, said: str, field: Field | None, words: Words, formats: Formats) -> str:  # noqa: PLR0911
    if kind == "missing":
        return words("call.fault_missing")
    if field is not None and kind.startswith(("greater_than", "less_than")):
        return words("call.fault_bounds", bounds=field.bounds(formats))
    if kind == "string_too_long" and field is not None:
        return words("call.fault_long", longest=field.longest)
    if kind == "literal_error":
        return words("call.fault_word")
    if kind == "extra_forbidden":
        return words("call.fault_unknown")
    if kind.endswith(("_parsing", "_type", "_from_date_parsing")):
        return words("call.fault_type")
    return said.removeprefix("Value error, ")


def _field(model: type[BaseModel], name: str, info: FieldInfo, kind: str) -> Field:
    extra: Any = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    low = high = None
    longest = None
    for mark in info.metadata:
        if isinstance(mark, Ge | Gt):
            low = _number(mark.ge if isinstance(mark, Ge) else mark.gt)
        elif isinstance(mark, Le | Lt):
            high = _number(mark.le if isinstance(mark, Le) else mark.lt)
        elif isinstance(mark, MaxLen):
            longest = mark.max_length
    title = info.title or name
    return Field(
        name=name,
        kind=kind,
        title=Text(title, str(extra.get("x-title-fr", title))),
        help=Text(info.description or "", str(extra.get("x-help-fr", info.description or ""))),
        unit=str(extra.get("x-unit", "")),
        required=info.is_required(),
        default=None if info.is_required() else info.default,
        low=low,
        high=high,
        longest=longest,
        words=allowed(model, name) if kind == "category" else (),
        whole="int" in str(info.annotation),
        free_text=bool(extra.get("x-free-text")),
        image=images_of(model).get(name),
    )


@cache
def images_of(model: type[BaseModel]) -> dict[str, Image]:
    from services.core.usecases import columns  # noqa: PLC0415

    found: dict[str, Image] = columns.images(model)
    return found


def _number(value: Any) -> float:
    return float(value)
