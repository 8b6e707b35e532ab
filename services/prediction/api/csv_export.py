"""Recorded predictions as CSV, one row each."""

from __future__ import annotations

import csv
import io
import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import to_json

from services.core.contract.use_case import UseCase
from services.core.io import without_formulas

_CALL_COLUMNS = (
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


class CsvExport:
    """CSV columns of one use case: metadata of the call, ``request.…``, ``answer.…``, ``outcome.…``, and the centre's
    reason for an override."""

    def __init__(self, use_case: UseCase) -> None:
        self._request = list(use_case.serving.request.model_fields)
        self._answer = list(_leaf_paths(use_case.serving.answer))
        self._labels = list(dict.fromkeys(target.label for target in use_case.modelling.targets))
        self._answer_names = [".".join(path) for path in self._answer]

    def head(self) -> bytes:
        names = [*_CALL_COLUMNS]
        names += [f"request.{name}" for name in self._request]
        names += [f"answer.{name}" for name in self._answer_names]
        names += [f"outcome.{name}" for name in self._labels]
        names.append("override")
        return _encode_csv([names])

    def rows(self, predictions: Iterable[Mapping[str, Any]]) -> bytes:
        return _encode_csv([[_format_cell(value) for value in self._values(row)] for row in predictions])

    def _values(self, row: Mapping[str, Any]) -> Iterable[Any]:
        yield from (row[name] for name in _CALL_COLUMNS)
        yield from (row["request"].get(name) for name in self._request)
        yield from (_value_at(row["answer"], path) for path in self._answer)
        outcome = row["outcome"] or {}
        yield from (outcome.get(name) for name in self._labels)
        yield row.get("override")


def _encode_csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _format_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return without_formulas(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | float):
        return repr(value)
    return without_formulas(to_json(value).decode())


def _value_at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _leaf_paths(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        inner = _nested_model(info.annotation)
        if inner is None:
            yield (*above, name)
        else:
            yield from _leaf_paths(inner, (*above, name))


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    """The nested model of a field's annotation, optional ones included."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None
