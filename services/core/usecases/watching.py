"""Columns for drift that a use case derives from requests (``UseCase.watched``)."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

from numpy.typing import NDArray

from services.core.usecases.contract import UseCase
from services.core.usecases.modules import WatchingModule


def derived(use_case: UseCase, columns: Mapping[str, NDArray[Any]], fitted: Any) -> Mapping[str, NDArray[Any]]:
    """Each watched column (n,): float64 (missing is NaN) or objects of str (missing is ""). Empty where the use case
    declares none. ``fitted`` is None where no model is."""
    if not use_case.watched:
        return {}
    found = cast("WatchingModule", use_case.features).watched(columns, fitted)
    return {name: found[name] for name in use_case.watched}


def as_rows(columns: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Derived columns row by row as JSON holds them: None for missing."""
    lists = {name: values.tolist() for name, values in columns.items()}
    count = len(next(iter(lists.values()))) if lists else 0
    return [{name: _plain(values[row]) for name, values in lists.items()} for row in range(count)]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    return value or None
