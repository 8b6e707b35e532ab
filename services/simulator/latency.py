"""Percentiles of many latencies in little memory: a histogram whose bars are 2 % wide."""

from __future__ import annotations

import math

_FIRST = 1e-4
"""Seconds; what is faster counts as this."""
_GROWTH = math.log(1.02)
_BARS = 700
"""Up to about 100 seconds."""


class Latencies:
    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self._bars = [0] * _BARS

    def add(self, seconds: float) -> None:
        self.count += 1
        self.longest = max(self.longest, seconds)
        place = 0 if seconds <= _FIRST else int(math.log(seconds / _FIRST) / _GROWTH) + 1
        self._bars[min(place, _BARS - 1)] += 1

    def percentile(self, share: float) -> float | None:
        """Seconds that ``share`` of all were not slower than, to 2 %; None without any."""
        if not self.count:
            return None
        left = math.ceil(share * self.count)
        for place, number in enumerate(self._bars):
            left -= number
            if left <= 0:
                return min(_FIRST * math.exp(place * _GROWTH), self.longest)
        return self.longest

    def in_ms(self) -> dict[str, float | None]:
        shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
        told = {name: self.percentile(share) for name, share in shares.items()}
        told["max"] = self.longest if self.count else None
        return {name: None if value is None else round(value * 1_000, 2) for name, value in told.items()}
