"""Calls and what became of them, out of a use case's examples: the very rows that its models learn from, as callers
and centres would say them."""

from __future__ import annotations

import base64
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from services.core.usecases.columns import kinds
from services.core.usecases.contract import Classes, Probability, Target, UseCase

if TYPE_CHECKING:
    import pandas as pd

_NEAREST = 40
"""Examples of the same hour of the week that a call is drawn from: those whose day is nearest."""


@dataclass(frozen=True, slots=True)
class Example:
    request: dict[str, Any]
    """As JSON has it; what is not known is left out."""
    labels: dict[str, Any]
    """What happened, as an outcome says it; empty where nobody knows."""
    at: float
    """When, seconds since 1970; NaN without time."""


def examples_of(
    use_case: UseCase, tables: Mapping[str, pd.DataFrame], horizon: timedelta | None = None
) -> list[Example]:
    """The examples of canonical tables, in the order of time where there is time; with a ``horizon`` only those that
    come so soon after the first one."""
    rows = use_case.raw.examples(tables)
    if horizon is not None and "event_time" in rows:
        rows = rows[rows["event_time"] <= rows["event_time"].min() + horizon]
    fields = kinds(use_case.request)
    targets = {target.label: target for target in reversed(use_case.targets)}
    at = rows["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6 if "event_time" in rows else None
    names = list(dict.fromkeys([*fields, *targets]))
    found = []
    for number, row in enumerate(rows[names].astype(object).to_dict("records")):
        request = {name: _said(kind, row[name]) for name, kind in fields.items() if not _missing(row[name])}
        labels = {label: _label(target, row[label]) for label, target in targets.items() if not _missing(row[label])}
        found.append(Example(request, labels, float("nan") if at is None else float(at[number])))
    return found if at is None else sorted(found, key=lambda example: example.at)


class Pool:
    """Examples to draw calls from, by hour of the week. None comes again before the others near it have come as often:
    the same accident six times in a month would be one observation that looks like six."""

    def __init__(self, use_case: UseCase, examples: Sequence[Example]) -> None:
        self.examples = examples
        self._drawn = [0] * len(examples)
        self._zone = ZoneInfo(use_case.zone or "UTC")
        kind = kinds(use_case.request).get(use_case.time_field or "")
        self._field = use_case.time_field if kind == "time" else None
        self._date = next((name for name, of in kinds(use_case.request).items() if of == "date"), None)
        self._by_hour: dict[int, list[int]] = defaultdict(list)
        self._by_time = [number for number, example in enumerate(examples) if not math.isnan(example.at)]
        if self._field is not None:
            for number in self._by_time:
                self._by_hour[self._hour(datetime.fromtimestamp(examples[number].at, UTC))].append(number)

    def draw(self, chance: np.random.Generator, moment: datetime) -> Example:
        """An example of the same hour of the week as ``moment`` and of a day near to it, said at that moment."""
        number = self._number(chance, moment)
        self._drawn[number] += 1
        example = self.examples[number]
        request = dict(example.request)
        if self._field is not None:
            request[self._field] = moment.isoformat(timespec="milliseconds")
        elif self._date is not None and self._date in request:
            request[self._date] = moment.astimezone(self._zone).date().isoformat()
        return Example(request, example.labels, moment.timestamp())

    def _number(self, chance: np.random.Generator, moment: datetime) -> int:
        alike = self._by_hour.get(self._hour(moment)) or self._by_time
        if not alike:
            near = chance.integers(len(self.examples), size=_NEAREST).tolist()
        else:
            place = bisect_left(alike, moment.timestamp(), key=lambda number: self.examples[number].at)
            first = max(0, min(place - _NEAREST // 2, len(alike) - _NEAREST))
            near = alike[first : first + _NEAREST]
        least = min(self._drawn[number] for number in near)
        rare = [number for number in near if self._drawn[number] == least]
        return int(rare[int(chance.integers(len(rare)))])

    def _hour(self, moment: datetime) -> int:
        local = moment.astimezone(self._zone)
        return local.weekday() * 24 + local.hour


def _said(kind: str, value: Any) -> Any:
    if kind == "time":
        return value.isoformat()
    if kind == "date":
        return value.date().isoformat()
    if kind == "image":
        return base64.b64encode(value).decode()
    if kind == "flag":
        return bool(value)
    if kind == "number":
        number = float(value)
        return int(number) if number.is_integer() else number
    return str(value)


def _label(target: Target, value: Any) -> Any:
    if isinstance(target.output, Classes):
        return target.output.labels[int(value)] if target.output.labels else str(value)
    return bool(value) if isinstance(target.output, Probability) else float(value)


def _missing(value: Any) -> bool:
    # NaT is the one value besides NaN that is not itself.
    return value is None or value in ("", b"") or value != value  # noqa: PLR0124
