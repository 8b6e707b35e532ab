"""The simulator's weather: systems that cross the continent from west to east, and what each station sees of them.

The systems' shapes and the stations' characters are the same in every run, whatever the seed: a model that learned
from one simulated year meets the same stations in the next.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.rain_tomorrow.observations import RAINY_MM
from services.core.usecases.rain_tomorrow.stations import NAMES, STATIONS

Floats = NDArray[np.float64]

WETTER, FAULTY = "wetter-years", "faulty-hygrometers"
"""Kinds of drift: rain falls from weaker systems, and humidity is read too high."""

_WAVES = 7
_SPEED = 7.0
"""Degrees of longitude that systems cross in a day."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Arrays (days, stations); ``rainfall`` has one day more, since each day's is measured on the next morning."""

    wet_9am: Floats
    wet_3pm: Floats
    rainfall: Floats
    season: Floats
    """(days, 1): 1 at midsummer, -1 at midwinter."""


def make(
    draw: np.random.Generator, stations: NDArray[np.int64], first_day: int, days: int, drift: Collection[str]
) -> Weather:
    """What happens at ``stations`` (numbers) over ``days`` days from ``first_day`` (days since 1970)."""
    shape = np.random.default_rng(20_081_201)
    length, tilt = shape.uniform(18, 70, _WAVES), shape.normal(0, 0.05, _WAVES)
    local = shape.normal(0, 0.35, len(NAMES))[stations]
    place = np.array([STATIONS[NAMES[number]] for number in stations.tolist()])
    strength = _slow(draw, days + 2, _WAVES, 0.9)
    phase = np.cumsum(draw.normal(0, 0.25, (days + 2, _WAVES)), axis=0)
    number = np.arange(days + 1, dtype=np.float64)
    season = np.cos((first_day + np.arange(days + 1) - 15) * (2 * np.pi / 365.25))[:, None]

    def wetness(hour: float) -> Floats:
        """Of the air at this hour of each day, in standard deviations."""
        east = place[None, :, 1] - _SPEED * (number[:, None] + hour / 24)
        total = np.zeros((days + 1, len(stations)))
        for wave in range(_WAVES):
            mixed = strength[:-1, wave] + (strength[1:, wave] - strength[:-1, wave]) * hour / 24
            turned = 2 * np.pi * (east / length[wave] + tilt[wave] * place[None, :, 0]) + phase[:-1, wave][:, None]
            total += mixed[:, None] * np.cos(turned)
        return total / np.sqrt(_WAVES / 2) + local

    of_place = _slow(draw, days + 1, len(stations), 0.6) * 0.4
    tropics = np.clip((place[:, 0] + 25) / 10, -1, 1)
    lift = 0.5 * tropics * season - 0.25 * (1 - np.abs(tropics)) * season
    base = wetness(20.0) + lift + of_place + draw.normal(0, 0.35, (days + 1, len(stations)))
    limit = 0.65 if WETTER in drift else 1.15
    amount = np.where(base > limit, RAINY_MM + draw.gamma(0.8, 7.0, base.shape) * (base - limit + 0.2), 0.0)
    drizzle = (base > limit - 0.35) & (base <= limit)
    amount = np.where(drizzle, draw.uniform(0.2, 1.0, base.shape), amount)
    before = np.where(draw.random((1, len(stations))) < 0.2, 4.0, 0.0)
    return Weather(
        (wetness(9.0) + lift + of_place)[:days],
        (wetness(15.0) + lift + of_place)[:days],
        np.concatenate([before, amount[:days]]),
        season[:days],
    )


def _slow(draw: np.random.Generator, days: int, count: int, memory: float) -> Floats:
    """Series (days, count) with unit spread that keep ``memory`` of the day before."""
    made = np.empty((days, count))
    made[0] = draw.normal(0, 1, count)
    for day in range(1, days):
        made[day] = memory * made[day - 1] + np.sqrt(1 - memory**2) * draw.normal(0, 1, count)
    return made
