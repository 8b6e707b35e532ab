"""Where the stations lie to each other: means of what the others see, near and far and by direction.

The weights are fixed by the map. Every row is multiplied by itself, in the same order whatever the number of
rows, so that one row and a million agree bit for bit.
"""

from __future__ import annotations

import numpy as np

from services.core.usecases.rain_tomorrow.history import Floats
from services.core.usecases.rain_tomorrow.stations import NAMES, STATIONS

REACHES = {"near": 1.5, "region": 4.0, "wide": 10.0}
"""Width of the bell of each distance-weighted mean, degrees of latitude (111 km)."""
SIDES = {
    "west": (-1.0, 0.0),
    "east": (1.0, 0.0),
    "north": (0.0, 1.0),
    "south": (0.0, -1.0),
    "southwest": (-0.7, -0.7),
    "northwest": (-0.7, 0.7),
}
"""Directions as (east, north); weather comes from the west."""
WINDOWS = (*REACHES, *SIDES)
_SIDE_REACH = 6.0
_FEWEST = 0.01
"""Sum of weights below which a mean says nothing."""

_NORTH = np.array([STATIONS[name].latitude for name in NAMES])
_EAST = np.array([STATIONS[name].longitude for name in NAMES])
_DX = (_EAST[None, :] - _EAST[:, None]) * np.cos(np.radians(_NORTH))[:, None]
_DY = _NORTH[None, :] - _NORTH[:, None]
_DISTANCE = np.hypot(_DX, _DY)

NEAREST = np.argsort(_DISTANCE, axis=1, kind="stable")[:, 1:]
"""(stations, others): the others by distance."""


def _weights() -> Floats:
    """(stations, others, windows): how much each other station counts; a station itself counts nothing."""
    bells = [np.exp(-0.5 * (_DISTANCE / reach) ** 2) for reach in REACHES.values()]
    bell = np.exp(-0.5 * (_DISTANCE / _SIDE_REACH) ** 2)
    for east, north in SIDES.values():
        toward = (_DX * east + _DY * north) / np.maximum(_DISTANCE, 1e-6)
        bells.append(bell * np.maximum(toward, 0.0) ** 2)
    weights = np.stack(bells, axis=2)
    weights[np.arange(len(NAMES)), np.arange(len(NAMES))] = 0.0
    return weights


WEIGHTS = _weights()


def means(field: Floats, stations: np.ndarray) -> Floats:
    """Weighted means (n, quantities, windows) of ``field`` (n, quantities, stations) around each row's station;
    NaN where no station nearby knows."""
    known = ~np.isnan(field)
    weights = WEIGHTS[stations]
    total = np.matmul(np.where(known, field, 0.0), weights)
    behind = np.matmul(known.astype(np.float64), weights)
    enough = behind > _FEWEST
    found: Floats = np.where(enough, total / np.where(enough, behind, 1.0), np.nan)
    return found


def of_nearest(field: Floats, stations: np.ndarray, count: int) -> Floats:
    """Values (n, quantities, count) at the stations nearest to each row's."""
    found: Floats = np.take_along_axis(field, NEAREST[stations][:, None, :count], axis=2)
    return found
