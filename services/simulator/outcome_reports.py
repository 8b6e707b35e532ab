"""Plans when centres report outcomes: delayed, late, corrected or never."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from services.core.contract.use_case import BinaryClassification, MultiClass, UseCase
from services.simulator.scenario import OutcomeReporting


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """One report of one call. The last report of a call carries the answer's ``predictions``."""

    use_case: str
    centre: str
    request_id: str
    happened_at: datetime
    labels: Mapping[str, Any]
    predictions: Mapping[str, Mapping[str, Any]] | None
    late: bool = False
    correction: bool = False


class _DueReport(NamedTuple):
    at: float
    number: int
    report: OutcomeReport


def plan_reports(
    chance: np.random.Generator, how: OutcomeReporting, use_case: UseCase, call: OutcomeReport, moment: datetime
) -> list[tuple[timedelta, OutcomeReport]]:
    """Plan the reports of a call at ``moment``, each with its delay; empty if it is never reported."""
    if not call.labels or chance.random() < how.never:
        return []
    late = bool(chance.random() < how.late)
    delay = _sample_delay(chance, how) * (how.late_times if late else 1.0)

    def made(after: timedelta, **changed: Any) -> tuple[timedelta, OutcomeReport]:
        return after, replace(call, happened_at=moment + after, late=late, **changed)

    if chance.random() >= how.corrected:
        return [made(delay)]
    wrong = {label: _wrong_label(chance, use_case, label, value) for label, value in call.labels.items()}
    for target in use_case.modelling.targets:  # wrong as a whole, as somebody reports who has mixed up two calls
        if target.contradicted_by(wrong):
            options = getattr(target.output, "labels", (False, True))
            agreeing = [value for value in options if not target.contradicted_by({**wrong, target.label: value})]
            wrong[target.label] = agreeing[0] if agreeing else None
    return [made(delay, labels=wrong, predictions=None), made(delay + _sample_delay(chance, how), correction=True)]


@dataclass
class ReportQueue:
    """Reports ordered by due time, at most ``limit``."""

    limit: int
    dropped: int = 0
    _heap: list[_DueReport] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, at: float, report: OutcomeReport) -> None:
        if len(self._heap) >= self.limit:
            self.dropped += 1
        else:
            heapq.heappush(self._heap, _DueReport(at, next(self._numbers), report))

    def due(self, now: float, most: int) -> list[OutcomeReport]:
        """Remove up to ``most`` due reports, earliest first."""
        found: list[OutcomeReport] = []
        while self._heap and self._heap[0].at <= now and len(found) < most:
            found.append(heapq.heappop(self._heap).report)
        return found


def _sample_delay(chance: np.random.Generator, how: OutcomeReporting) -> timedelta:
    return timedelta(minutes=how.median_minutes * math.exp(how.spread * chance.standard_normal()))


def _wrong_label(chance: np.random.Generator, use_case: UseCase, label: str, value: Any) -> Any:
    """A wrong value for ``label``, as in a reporting error."""
    output = next(target.output for target in use_case.modelling.targets if target.label == label)
    if isinstance(output, BinaryClassification):
        return not value
    if isinstance(output, MultiClass):
        others = [name for name in output.labels if name != value]
        return others[int(chance.integers(len(others)))] if others else value
    low, high = output.bounds
    return min(high, max(low, round(float(value) * float(chance.uniform(0.5, 1.8)), 1)))
