"""Refusals: 4xx answers that say field, reason and what is allowed, and never what was sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic_core
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from services.core.usecases.columns import allowed as words_of
from services.core.usecases.columns import kinds

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"), ("max_length", "length at most"))
MOST_FAULTS = 50
"""An answer lists no more faults than this."""


class RefusedError(Exception):
    """The request is answered with ``status`` and these faults."""

    def __init__(self, status: int, faults: list[dict[str, str]], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {faults[0]['type'] if faults else ''}")
        self.status = status
        self.faults = faults
        self.headers = headers


def fault(type: str, reason: str, *, field: str = "", allowed: str = "") -> dict[str, str]:
    return {"field": field, "reason": reason, "allowed": allowed, "type": type}


def refused(status: int, type: str, reason: str, *, field: str = "", allowed: str = "") -> RefusedError:
    return RefusedError(status, [fault(type, reason, field=field, allowed=allowed)])


def refusal(status: int, faults: list[dict[str, str]], request_id: str, headers: Any = None) -> Response:
    body = pydantic_core.to_json({"errors": faults, "request_id": request_id})
    return Response(body, status, headers=headers, media_type="application/json")


def name_of(part: object) -> str:
    """A field's name as it may stand in an answer: what a caller sent as a name could be anything."""
    text = str(part)
    return text if _NAME.fullmatch(text) else "(another name)"


class Allowed:
    """What each field of a request may hold, in words."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self._texts = {name: self._describe(name) for name in model.model_fields}

    def faults(self, error: ValidationError) -> list[dict[str, str]]:
        """The faults of a request that did not validate, without its values."""
        return [
            fault(
                item["type"],
                item["msg"].removeprefix("Value error, "),
                field=".".join(name_of(part) for part in item["loc"]),
                allowed=self._text(item["loc"]),
            )
            for item in error.errors(include_url=False, include_input=False, include_context=False)[:MOST_FAULTS]
        ]

    def _text(self, loc: Iterable[int | str]) -> str:
        first = next(iter(loc), None)
        if first is None:
            return ""
        return self._texts.get(str(first), "one of the fields " + ", ".join(self._texts))

    def _describe(self, name: str) -> str:
        info = self._model.model_fields[name]
        kind = kinds(self._model)[name]
        if kind == "category":
            parts = ["one of " + ", ".join(words_of(self._model, name))]
        elif kind == "time":
            parts = ["a date and time" + (f" such as {info.examples[0]}" if info.examples else "")]
        elif kind == "date":
            parts = ["a date" + (f" such as {info.examples[0]}" if info.examples else "")]
        else:
            parts = [{"number": "a number", "flag": "true or false", "text": "text"}[kind]]
        bounds = {
            key: value for key, _ in _BOUNDS for m in info.metadata if (value := getattr(m, key, None)) is not None
        }
        parts += [f"{text} {_plain(bounds[key])}" for key, text in _BOUNDS if key in bounds]
        extra = info.json_schema_extra
        if bounds and isinstance(extra, dict) and extra.get("x-unit"):
            parts[-1] += f" {extra['x-unit']}"
        if not info.is_required():
            parts.append("or left out")
        return ", ".join(parts)


def _plain(bound: object) -> str:
    return str(int(bound)) if isinstance(bound, float) and bound.is_integer() else str(bound)
