"""Presents a use case: picker; request fields with titles, units, bounds and validation; titles and values of targets
and metrics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import streamlit as st
from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from services.core import use_case_registry
from services.core.contract.columns import allowed_values, column_types
from services.core.contract.fields import Image, image_fields
from services.core.contract.use_case import Regression, Text, UseCase
from services.core.messages import Formats, Translator
from services.dashboard.session import Session


@dataclass(frozen=True, slots=True)
class Field:
    """A request field as shown in forms: type, texts, unit and bounds."""

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
        """Range such as ``0 – 500 m``; empty without bounds."""
        digits = 0 if all(float(end or 0).is_integer() for end in (self.low, self.high)) else 1
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{formats.number(self.low, digits)} – {formats.number(self.high, digits)}{unit}"
        if self.low is not None:
            return f"≥ {formats.number(self.low, digits)}{unit}"
        return f"≤ {formats.number(self.high, digits)}{unit}" if self.high is not None else ""

    def label(self, words: Translator) -> str:
        return words.of(self.title) + (f" ({self.unit})" if self.unit else "")


@cache
def fields_of(model: type[BaseModel]) -> dict[str, Field]:
    """Fields in the order of their declaration."""
    return {
        name: _field(model, name, info, kind)
        for (name, info), kind in zip(model.model_fields.items(), column_types(model).values(), strict=True)
    }


def title_of(use_case: UseCase, name: str, words: Translator) -> str:
    """Title of a field; ``context`` stands for data from outside the request."""
    known = fields_of(use_case.serving.request)
    return words.of(known[name].title) if name in known else words.known(f"terms.{name}", name)


@dataclass(frozen=True, slots=True)
class ValidatedRequest:
    """Result of client-side validation: ``payload`` to send (without empty fields), ``values`` if valid, and ``faults``
    by field, "" for the whole request."""

    payload: dict[str, Any]
    values: dict[str, Any] | None
    faults: dict[str, str]


def validate_request(
    model: type[BaseModel], payload: Mapping[str, Any], words: Translator, formats: Formats
) -> ValidatedRequest:
    """Validate as the service does, with the use case's own request model."""
    given = {name: value for name, value in payload.items() if value is not None and value != ""}
    try:
        found = model.model_validate(given)
    except ValidationError as error:
        known = fields_of(model)
        faults: dict[str, str] = {}
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            name = str(fault["loc"][0]) if fault["loc"] else ""
            faults.setdefault(name, _error_message(fault["type"], fault["msg"], known.get(name), words, formats))
        return ValidatedRequest(given, None, faults)
    return ValidatedRequest(given, found.model_dump(), {})


def _error_message(kind: str, said: str, field: Field | None, words: Translator, formats: Formats) -> str:  # noqa: PLR0911
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
            low = _as_float(mark.ge if isinstance(mark, Ge) else mark.gt)
        elif isinstance(mark, Le | Lt):
            high = _as_float(mark.le if isinstance(mark, Le) else mark.lt)
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
        words=allowed_values(model, name) if kind == "category" else (),
        whole="int" in str(info.annotation),
        free_text=bool(extra.get("x-free-text")),
        image=images_of(model).get(name),
    )


@cache
def images_of(model: type[BaseModel]) -> dict[str, Image]:

    found: dict[str, Image] = image_fields(model)
    return found


def _as_float(value: Any) -> float:
    return float(value)


_LOWER_IS_BETTER = frozenset({"mae", "rmse", "mean_width", "brier", "log_loss", "ece", "cost"})
_SHARE_METRICS = frozenset({"accuracy", "precision", "recall"})
_METRICS_IN_UNIT = frozenset({"mae", "rmse", "mean_width"})
_COVERAGE = re.compile(r"coverage_(\d+)")


def target_title(session: Session, use_case: UseCase, name: str) -> str:
    """Title of a target, of its variant or of its component."""
    words = session.words
    for target in use_case.modelling.targets:
        if target.name == name:
            return words.of(target.title)
    for variant in use_case.modelling.input_scenarios:
        if variant.name == name:
            title = words.of(use_case.target(variant.target).title)
            said = name.removeprefix(variant.target).strip("_").replace("_", " ")
            return f"{title} ({said})" if said and said != name else words("models.known_less", title=title)
    for part in use_case.modelling.evaluation_slices:
        if part.name == name:
            return f"{words.of(use_case.target(part.target).title)} ({part.value})"
    return name


def metric_title(session: Session, metric: str) -> str:
    found = _COVERAGE.fullmatch(metric)
    if found is not None:
        return f"{session.words('models.metric_coverage')} ({session.formats.percent(int(found[1]) / 100)})"
    return session.words.known(f"models.metric_{metric}", metric)


def metric_value(session: Session, use_case: UseCase, target: str, metric: str, value: float | None) -> str:
    """Value of a metric with its unit, if any."""
    formats = session.formats
    if value is None:
        return "–"
    if metric in _SHARE_METRICS or _COVERAGE.fullmatch(metric):
        return formats.percent(value, 1)
    unit = _unit(use_case, target)
    if metric in _METRICS_IN_UNIT and unit:
        return formats.quantity(value, unit, min(_digits(value), 2))
    return formats.number(value, max(_digits(value), 3) if abs(value) < 10 else _digits(value))


def improvement(metric: str, new: float, old: float) -> float:
    """Improvement of ``new`` over ``old``; negative if worse."""
    found = _COVERAGE.fullmatch(metric)
    if found is not None:
        aim = int(found[1]) / 100
        return abs(old - aim) - abs(new - aim)
    return old - new if metric in _LOWER_IS_BETTER else new - old


def _unit(use_case: UseCase, name: str) -> str:
    derived = {item.name: item.target for item in use_case.modelling.input_scenarios} | {
        p.name: p.target for p in use_case.modelling.evaluation_slices
    }
    for target in use_case.modelling.targets:
        if target.name == derived.get(name, name) and isinstance(target.output, Regression):
            return target.output.unit
    return ""


def _digits(value: float) -> int:
    size = abs(value)
    return 0 if size >= 1_000 else 1 if size >= 10 else 2 if size >= 1 else 4


_SELECTED, _PARAMETER = "vigie_subject", "use_case"


def choose_use_case(session: Session, *, key: str) -> UseCase | None:
    """The use case selected on the page; None if the user may see none. Lists declared use cases even if prediction
    does not answer: these pages are needed most then."""
    allowed = session.user.use_cases
    declared = [item for item in use_case_registry.list_use_cases() if allowed is None or item.name in allowed]
    if not declared:
        return None
    names = [item.name for item in declared]
    wanted = st.session_state.get(_SELECTED) or st.query_params.get(_PARAMETER)
    at = names.index(wanted) if wanted in names else 0
    by_name = {item.name: item for item in declared}
    chosen = st.selectbox(
        session.words("asking.use_case"),
        names,
        index=at,
        format_func=lambda name: session.words.of(by_name[name].presentation.title),
        key=f"subject-{key}",
    )
    st.session_state[_SELECTED] = st.query_params[_PARAMETER] = chosen
    return by_name[chosen]
