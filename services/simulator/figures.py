"""What a simulation counts while it runs; its memory does not grow with the calls."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from services.core.usecases.contract import UseCase
from services.simulator.latency import Latencies
from services.simulator.live_error import LiveError

WINDOW_SECONDS = 5
_LATEST_ERRORS = 5


class Figures:
    def __init__(self, use_cases: Iterable[UseCase]) -> None:
        self.sent = self.answered = self.refused = self.failed = self.not_sent = 0
        self.hostile: Counter[str] = Counter()
        """How hostile requests ended: refused, answered or failed."""
        self.statuses: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.by_use_case: Counter[str] = Counter()
        self.by_centre: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.errors: deque[str] = deque(maxlen=_LATEST_ERRORS)
        self.latencies = Latencies()
        self.live = {use_case.name: LiveError(use_case) for use_case in use_cases}
        self._per_second: deque[list[int]] = deque(maxlen=WINDOW_SECONDS + 1)

    def count_sent(self, use_case: str, centre: str) -> None:
        self.sent += 1
        self.by_use_case[use_case] += 1
        self.by_centre[centre] += 1
        second = int(time.monotonic())
        if not self._per_second or self._per_second[-1][0] != second:
            self._per_second.append([second, 0])
        self._per_second[-1][1] += 1

    def count_ended(self, status: int | str, seconds: float, *, hostile: bool) -> None:
        """``status`` of HTTP, or the name of what went wrong on the way."""
        self.statuses[str(status)] += 1
        answered = isinstance(status, int) and status < 400
        refused = isinstance(status, int) and 400 <= status < 500
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
        full = [count for second, count in self._per_second if now - WINDOW_SECONDS <= second < now]
        return sum(full) / WINDOW_SECONDS

    def told(self) -> dict[str, Any]:
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
            "live_error": {name: told for name, live in self.live.items() if (told := live.told())},
            "latest_errors": list(self.errors),
        }
