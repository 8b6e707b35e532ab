"""When calls come: the shape of day and week, bursts, and chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from services.simulator.clock import Clock
from services.simulator.scenario import Burst, Scenario


def intensity(scenario: Scenario, clock: Clock, rate: float, seconds: float) -> Callable[[float], float]:
    """Elapsed seconds -> calls per second at that moment."""
    day, week = np.array(scenario.day), np.array(scenario.week)
    hourly = day / day.mean()
    daily = week / week.mean()

    def of(elapsed: float) -> float:
        swell = 1.0 if scenario.burst is None else _swell(scenario.burst, elapsed / seconds)
        if scenario.steady:
            return rate * swell
        local = clock.at(elapsed).astimezone(clock.zone)
        between = local.minute / 60
        hour = hourly[local.hour] * (1 - between) + hourly[(local.hour + 1) % 24] * between
        return float(rate * swell * hour * daily[local.weekday()])

    return of


def highest(scenario: Scenario, rate: float) -> float:
    """What ``intensity`` never goes beyond."""
    day, week = np.array(scenario.day), np.array(scenario.week)
    shape = 1.0 if scenario.steady else float(day.max() / day.mean() * week.max() / week.mean())
    return rate * shape * max(1.0, 1.0 if scenario.burst is None else scenario.burst.times)


def moments(
    draw: np.random.Generator, scenario: Scenario, clock: Clock, rate: float, seconds: float
) -> Iterator[float]:
    """Elapsed seconds of each call, rising, up to ``seconds``. Steady ones come at equal distances; others by
    chance, as many as the intensity says."""
    if scenario.steady and scenario.burst is None:
        yield from (number / rate for number in range(math.floor(rate * seconds)))
        return
    of, most = intensity(scenario, clock, rate, seconds), highest(scenario, rate)
    elapsed = 0.0
    while (elapsed := elapsed + float(draw.exponential(1 / most))) < seconds:
        if draw.random() * most < of(elapsed):
            yield elapsed


def _swell(burst: Burst, progress: float) -> float:
    if not burst.begins < progress < burst.ends:
        return 1.0
    return 1.0 + (burst.times - 1.0) * math.sin(math.pi * (progress - burst.begins) / (burst.ends - burst.begins))
