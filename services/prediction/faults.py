"""What a request that did not validate is told: field, reason and what is allowed, and never what was sent."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ValidationError

from services.core.usecases.columns import allowed as words_of
from services.core.usecases.columns import images, kinds
from services.core.web.faults import MOST_FAULTS, RefusedError, fault, name_of, refusal, refused

_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"), ("max_length", "length at most"))
__all__ = ["MOST_FAULTS", "Allowed", "RefusedError", "fault", "name_of", "refusal", "refused"]


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
        elif kind == "image":
            parts = [images(self._model)[name].allowed]
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
