"""Warnings about a request that is valid but unlike what the model learned from, made ready when the
bundle is loaded from its ``inputs.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.usecases.columns import kinds
from services.core.usecases.contract import UseCase


class InputChecks:
    """``inputs`` maps a request field to ``{"min": …, "max": …}`` (numbers: the training rows' range)
    or ``{"words": […]}`` (categories and texts: the values that occurred)."""

    def __init__(self, use_case: UseCase, inputs: Mapping[str, Mapping[str, Any]]) -> None:
        used = {field for fields in use_case.features.INPUTS.values() for field in fields}
        of = kinds(use_case.request)
        self._ranges: list[tuple[str, float, float, dict[str, Any]]] = []
        self._words: list[tuple[str, frozenset[str], dict[str, Any]]] = []
        for name, known in inputs.items():
            if of.get(name) == "number" and known.get("min") is not None and known.get("max") is not None:
                low, high = float(known["min"]), float(known["max"])
                text = f"{name} lies outside {low:g} to {high:g}, the range that the model learned from."
                self._ranges.append((name, low, high, _warned("outside_training_range", name, text)))
            elif of.get(name) in {"category", "text"} and known.get("words") is not None:
                text = f"{name} has a value that the model has not learned from."
                self._words.append((name, frozenset(known["words"]), _warned("unseen_value", name, text)))
        self._optional = [
            (name, _warned("missing_field", name, f"{name} is missing: the answer is less sure than it could be."))
            for name, info in use_case.request.model_fields.items()
            if name in used and not info.is_required() and info.default is None and _was_there(inputs.get(name))
        ]

    def __call__(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The warnings of one validated request."""
        found = [warned for name, warned in self._optional if fields[name] is None]
        for name, low, high, warned in self._ranges:
            value = fields[name]
            if value is not None and not low <= value <= high:
                found.append(warned)
        for name, words, warned in self._words:
            value = fields[name]
            if value and value not in words:
                found.append(warned)
        return found


def _was_there(known: Mapping[str, Any] | None) -> bool:
    """Whether any training row had the field: what none had cannot make an answer surer."""
    return known is None or known.get("missing", 0.0) < 1.0


def _warned(code: str, field: str, message: str) -> dict[str, Any]:
    return {"code": code, "field": field, "message": message}
