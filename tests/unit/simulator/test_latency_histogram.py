"""Percentiles that take no memory."""

from __future__ import annotations

import numpy as np
import pytest

from services.simulator.stats import LatencyHistogram


def test_percentiles_are_right_to_two_percent() -> None:
    seconds = np.random.default_rng(1).lognormal(-5, 1.0, 20_000)
    found = LatencyHistogram()
    for each in seconds:
        found.add(float(each))
    for share in (0.5, 0.9, 0.99):
        assert found.percentile(share) == pytest.approx(np.quantile(seconds, share), rel=0.021)
    assert found.longest == seconds.max()


def test_nothing_was_measured() -> None:
    assert set(LatencyHistogram().in_ms().values()) == {None}


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e6])
def test_what_is_very_fast_or_very_slow_is_counted_too(seconds: float) -> None:
    found = LatencyHistogram()
    found.add(seconds)
    assert found.count == 1
    assert found.percentile(0.5) is not None


def test_memory_does_not_grow() -> None:
    found = LatencyHistogram()
    before = len(found._bars)
    for number in range(5_000):
        found.add(number / 10)
    assert len(found._bars) == before
