"""What centres report of their calls, and when: after a while, sometimes late, sometimes wrongly at first, sometimes
never."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from services.core.usecases.contract import Classes, Probability, UseCase
from services.simulator.live_error import Guess
from services.simulator.scenario import Reported


@dataclass(frozen=True, slots=True)
class Report:
    """One report of one call. ``said`` is what was answered, where this is the last word on it."""

    use_case: str
    centre: str
    request_id: str
    happened_at: datetime
    labels: Mapping[str, Any]
    said: Mapping[str, Guess] | None
    late: bool = False
    correction: bool = False


class _Due(NamedTuple):
    at: float
    number: int
    report: Report


def planned(
    chance: np.random.Generator, how: Reported, use_case: UseCase, call: Report, moment: datetime
) -> list[tuple[timedelta, Report]]:
    """The reports of a call that came at ``moment``, each with its delay; none where nobody ever reports it."""
    if not call.labels or chance.random() < how.never:
        return []
    late = bool(chance.random() < how.late)
    delay = _delay(chance, how) * (how.late_times if late else 1.0)

    def made(after: timedelta, **changed: Any) -> tuple[timedelta, Report]:
        parts = {name: getattr(call, name) for name in Report.__slots__}
        return after, Report(**{**parts, "happened_at": moment + after, "late": late, **changed})

    if chance.random() >= how.corrected:
        return [made(delay)]
    wrong = {label: _wrong(chance, use_case, label, value) for label, value in call.labels.items()}
    return [made(delay, labels=wrong, said=None), made(delay + _delay(chance, how), correction=True)]


@dataclass
class Waiting:
    """Reports by when they are due, at most ``limit``."""

    limit: int
    dropped: int = 0
    _heap: list[_Due] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, at: float, report: Report) -> None:
        if len(self._heap) >= self.limit:
            self.dropped += 1
        else:
            heapq.heappush(self._heap, _Due(at, next(self._numbers), report))

    def due(self, now: float, most: int) -> list[Report]:
        """Up to ``most`` reports that are due, earliest first."""
        found: list[Report] = []
        while self._heap and self._heap[0].at <= now and len(found) < most:
            found.append(heapq.heappop(self._heap).report)
        return found


def _delay(chance: np.random.Generator, how: Reported) -> timedelta:
    return timedelta(minutes=how.median_minutes * math.exp(how.spread * chance.standard_normal()))


def _wrong(chance: np.random.Generator, use_case: UseCase, label: str, value: Any) -> Any:
    """A slip of whoever reports."""
    output = next(target.output for target in use_case.targets if target.label == label)
    if isinstance(output, Probability):
        return not value
    if isinstance(output, Classes):
        others = [name for name in output.labels if name != value]
        return others[int(chance.integers(len(others)))] if others else value
    low = output.minimum if output.minimum is not None else -math.inf
    return max(low, round(float(value) * float(chance.uniform(0.5, 1.8)), 1))
