"""Live statistics of a simulation, in constant memory.

Counts, rate, latency percentiles and error against reported outcomes."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from services.core.contract.use_case import BinaryClassification, MultiClass, Regression, Target, UseCase

_SMALLEST_SECONDS = 1e-4
"""Lower edge of the first latency bin, seconds; faster calls count as this."""
_GROWTH = math.log(1.02)
_BIN_COUNT = 700
"""Number of bins: covers latencies up to about 100 seconds."""


class LatencyHistogram:
    """Latencies in logarithmic bins."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self._bars = [0] * _BIN_COUNT

    def add(self, seconds: float) -> None:
        self.count += 1
        self.longest = max(self.longest, seconds)
        place = 0 if seconds <= _SMALLEST_SECONDS else int(math.log(seconds / _SMALLEST_SECONDS) / _GROWTH) + 1
        self._bars[min(place, _BIN_COUNT - 1)] += 1

    def percentile(self, share: float) -> float | None:
        """Latency quantile ``share`` in seconds, accurate to 2 %; None without calls."""
        if not self.count:
            return None
        left = math.ceil(share * self.count)
        for place, number in enumerate(self._bars):
            left -= number
            if left <= 0:
                return min(_SMALLEST_SECONDS * math.exp(place * _GROWTH), self.longest)
        return self.longest

    def in_ms(self) -> dict[str, float | None]:
        shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
        summary = {name: self.percentile(share) for name, share in shares.items()}
        summary["max"] = self.longest if self.count else None
        return {name: None if value is None else round(value * 1_000, 2) for name, value in summary.items()}


LIVE_METRICS = {Regression: "mae", BinaryClassification: "brier", MultiClass: "accuracy"}


class LiveErrorStats:
    """Error of one use case's live predictions, as running sums in constant memory."""

    def __init__(self, use_case: UseCase) -> None:
        self._use_case = use_case
        self._sums: dict[str, list[float]] = {}

    def add(self, predictions: Mapping[str, Mapping[str, Any]], labels: Mapping[str, Any]) -> None:
        """Compare the ``predictions`` of an answer with the reported labels."""
        for target in self._use_case.modelling.targets:
            predicted, true = predictions.get(target.name), labels.get(target.label)
            if predicted is None or true is None:
                continue
            value = predicted["value"]
            sums = self._sums.setdefault(target.name, [0.0, 0.0, 0.0, 0.0])
            sums[0] += 1
            if isinstance(target.output, Regression):
                sums[1] += abs(value - true)
                sums[2] += value - true
                sums[3] += predicted["lower"] <= true <= predicted["upper"]
            elif isinstance(target.output, BinaryClassification):
                sums[1] += (value - float(true)) ** 2
            else:
                sums[1] += value == true

    def summary(self) -> dict[str, dict[str, Any]]:
        """Target -> metric, value, unit and count; for quantities also bias and interval coverage."""
        return {
            target.name: self._told(target) for target in self._use_case.modelling.targets if target.name in self._sums
        }

    def _told(self, target: Target) -> dict[str, Any]:
        count, total, bias, held = self._sums[target.name]
        metric = LIVE_METRICS[type(target.output)]
        summary: dict[str, Any] = {"metric": metric, "value": round(total / count, 4), "count": int(count)}
        if isinstance(target.output, Regression):
            summary |= {"unit": target.output.unit, "bias": round(bias / count, 4), "coverage": round(held / count, 4)}
        return summary


RATE_WINDOW_SECONDS = 5
_LATEST_ERRORS = 5


class SimulationStats:
    """Counters, latencies and live errors of one simulation."""

    def __init__(self, use_cases: Iterable[UseCase]) -> None:
        self.sent = self.answered = self.refused = self.failed = self.not_sent = 0
        self.hostile: Counter[str] = Counter()
        """Responses to malformed requests: refused, answered or failed."""
        self.statuses: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.by_use_case: Counter[str] = Counter()
        self.by_centre: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.errors: deque[str] = deque(maxlen=_LATEST_ERRORS)
        self.latencies = LatencyHistogram()
        self.live = {use_case.name: LiveErrorStats(use_case) for use_case in use_cases}
        self._per_second: deque[list[int]] = deque(maxlen=RATE_WINDOW_SECONDS + 1)

    def count_sent(self, use_case: str, centre: str) -> None:
        self.sent += 1
        self.by_use_case[use_case] += 1
        self.by_centre[centre] += 1
        second = int(time.monotonic())
        if not self._per_second or self._per_second[-1][0] != second:
            self._per_second.append([second, 0])
        self._per_second[-1][1] += 1

    def count_ended(self, status: int | str, seconds: float, *, hostile: bool) -> None:
        """Count a finished call; ``status`` is the HTTP status or the name of the error."""
        self.statuses[str(status)] += 1
        answered = isinstance(status, int) and status < 400
        # A key that nobody has made is answered 503 until a newer access list has confirmed it: a refusal too.
        refused = isinstance(status, int) and (400 <= status < 500 or (hostile and status == 503))
        word = "answered" if answered else "refused" if refused else "failed"
        if hostile:
            self.hostile[word] += 1
            return
        self.latencies.add(seconds)
        setattr(self, word, getattr(self, word) + 1)
        if not answered:
            self.errors.append(str(status))

    @property
    def rate_now(self) -> float:
        """Calls sent per second over the last full seconds."""
        now = int(time.monotonic())
        full = [count for second, count in self._per_second if now - RATE_WINDOW_SECONDS <= second < now]
        return sum(full) / RATE_WINDOW_SECONDS

    def summary(self) -> dict[str, Any]:
        known = sum(self.sources.values())
        return {
            "calls": {
                "sent": self.sent,
                "answered": self.answered,
                "refused": self.refused,
                "failed": self.failed,
                "not_sent": self.not_sent,
                "by_use_case": dict(self.by_use_case),
                "by_centre": dict(self.by_centre),
            },
            "rate_now": round(self.rate_now, 2),
            "latency_ms": self.latencies.in_ms(),
            "statuses": dict(sorted(self.statuses.items())),
            "sources": {name: round(number / known, 4) for name, number in sorted(self.sources.items())},
            "outcomes": dict(self.outcomes),
            "hostile": dict(self.hostile),
            "live_error": {name: summary for name, live in self.live.items() if (summary := live.summary())},
            "latest_errors": list(self.errors),
        }
