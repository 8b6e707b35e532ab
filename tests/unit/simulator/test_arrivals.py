"""When calls come."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from services.core.errors import VigieError
from services.simulator.plan import SimulatedClock, arrival_intensity, arrival_times, max_intensity, simulation_start
from tests.unit.simulator.conftest import START, scenario

LONDON = ZoneInfo("Europe/London")
WEEK = 7 * 86_400.0


def arriving(seed: int = 1, seconds: float = 1_000.0, rate: float = 20.0, **changes: object) -> list[float]:
    chosen = scenario(**changes)
    clock = SimulatedClock(START, chosen.speed, ZoneInfo("UTC"))
    return list(arrival_times(np.random.default_rng(seed), chosen, clock, rate, seconds))


def test_the_same_seed_gives_the_same_moments() -> None:
    assert arriving(5) == arriving(5)
    assert arriving(5) != arriving(6)


def test_over_a_week_as_many_come_as_the_rate_says() -> None:
    assert len(arriving(seconds=1_000.0, speed=WEEK / 1_000)) == pytest.approx(20_000, rel=0.03)


def test_a_day_has_its_shape() -> None:
    clock = SimulatedClock(START, WEEK / 2_000, ZoneInfo("UTC"))
    by_hour = Counter(clock.at(elapsed).hour for elapsed in arriving(seconds=2_000.0, speed=clock.speed))
    assert by_hour[18] > 3 * by_hour[4]
    expected = np.array(scenario().day)
    found = np.array([by_hour[hour] for hour in range(24)])
    # Between two hours the rate moves from one to the other.
    between = (expected + np.roll(expected, -1)) / 2
    assert np.corrcoef(found, between)[0, 1] > 0.99


def test_a_week_has_its_shape() -> None:
    clock = SimulatedClock(START, WEEK / 2_000, ZoneInfo("UTC"))
    quiet_sundays = [1.0, 1, 1, 1, 1, 1, 0.25]
    by_day = Counter(
        clock.at(elapsed).weekday() for elapsed in arriving(seconds=2_000.0, speed=clock.speed, week=quiet_sundays)
    )
    assert by_day[6] == pytest.approx(by_day[2] / 4, rel=0.1)


def test_a_steady_rate_is_steady() -> None:
    found = np.array(arriving(seconds=10.0, rate=50.0, steady=True))
    assert len(found) == 500
    assert np.allclose(np.diff(found), 0.02)


def test_a_burst_swells_and_ebbs() -> None:
    burst = {"begins": 0.4, "ends": 0.6, "times": 10.0}
    found = np.array(arriving(seconds=1_000.0, steady=True, burst=burst))
    tenths = np.histogram(found, bins=10, range=(0, 1_000))[0]
    assert tenths[0] == pytest.approx(2_000, rel=0.1)
    assert tenths[4] > 5 * tenths[0]
    assert tenths[9] == pytest.approx(2_000, rel=0.1)


@pytest.mark.parametrize("times", [None, 7.0, 0.5])
def test_nothing_goes_beyond_the_highest_intensity(times: float | None) -> None:
    chosen = scenario(burst=None if times is None else {"begins": 0.0, "ends": 1.0, "times": times})
    of = arrival_intensity(chosen, SimulatedClock(START, WEEK / 100, ZoneInfo("UTC")), 3.0, 100.0)
    assert max(of(elapsed) for elapsed in np.linspace(0, 100, 5_000)) <= max_intensity(chosen, 3.0) * 1.0001


def test_a_simulation_without_a_beginning_ends_now() -> None:
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert simulation_start(None, LONDON, timedelta(hours=3), now) == now - timedelta(hours=3)


def test_one_that_begins_at_an_hour_is_over_by_now() -> None:
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert simulation_start("23:00", LONDON, timedelta(hours=8), now) == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert simulation_start("06:00", LONDON, timedelta(hours=8), now) == datetime(2026, 6, 30, 5, tzinfo=UTC)
    assert simulation_start("02:00", LONDON, timedelta(hours=8), now) == datetime(2026, 7, 1, 1, tzinfo=UTC)


def test_a_moment_is_taken_as_it_is() -> None:
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert simulation_start("2024-01-05T10:00", LONDON, timedelta(hours=8), now) == datetime(2024, 1, 5, 10, tzinfo=UTC)


def test_what_is_no_beginning_is_said() -> None:
    with pytest.raises(VigieError, match="no beginning"):
        simulation_start("tomorrow", LONDON, timedelta(hours=8), datetime(2026, 7, 1, tzinfo=UTC))
