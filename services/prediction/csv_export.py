"""Predictions as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import to_json

from services.core.usecases.contract import UseCase

_OWN = (
    "id",
    "received_at",
    "centre",
    "caller_kind",
    "caller_id",
    "request_id",
    "row_index",
    "incident_id",
    "model_version",
    "source",
    "kind",
    "simulated",
    "latency_us",
    "risk",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a text for a formula."""


class Table:
    """The columns of one use case: what is known of the call, ``request.…``, ``answer.…``, ``outcome.…``, and why the
    centre decided otherwise."""

    def __init__(self, use_case: UseCase) -> None:
        self._request = list(use_case.request.model_fields)
        self._answer = list(_leaves(use_case.answer))
        self._labels = list(dict.fromkeys(target.label for target in use_case.targets))
        self._answer_names = [".".join(path) for path in self._answer]

    def head(self) -> bytes:
        names = [*_OWN]
        names += [f"request.{name}" for name in self._request]
        names += [f"answer.{name}" for name in self._answer_names]
        names += [f"outcome.{name}" for name in self._labels]
        names.append("override")
        return _written([names])

    def rows(self, predictions: Iterable[Mapping[str, Any]]) -> bytes:
        return _written([[_cell(value) for value in self._values(row)] for row in predictions])

    def _values(self, row: Mapping[str, Any]) -> Iterable[Any]:
        yield from (row[name] for name in _OWN)
        yield from (row["request"].get(name) for name in self._request)
        yield from (_at(row["answer"], path) for path in self._answer)
        outcome = row["outcome"] or {}
        yield from (outcome.get(name) for name in self._labels)
        yield row.get("override")


def _written(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | float):
        return repr(value)
    return to_json(value).decode()


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _leaves(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        inner = _model(info.annotation)
        if inner is None:
            yield (*above, name)
        else:
            yield from _leaves(inner, (*above, name))


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model of a field that holds one, also where it may be missing."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None
