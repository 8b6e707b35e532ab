"""Past days of all stations (the context), and means over neighbouring stations. NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import Arrays
from services.use_cases.rain_tomorrow.stations import QUANTITIES, STATION_NAMES, STATIONS

DAYS_BACK = 6
"""Days before today that features are made of."""
SECONDS_A_DAY = 86_400.0

Floats = NDArray[np.float64]


class History(NamedTuple):
    """Past observations of all stations."""

    first_day: int
    """Days since 1970-01-01 of the first day."""
    observations: NDArray[np.float32]
    """(quantities, days, stations), in the order of ``QUANTITIES`` and ``stations.NAMES``; missing is NaN."""


EMPTY_HISTORY = History(0, np.full((len(QUANTITIES), 1, len(STATION_NAMES)), np.nan, dtype=np.float32))


def history_from_context(context: Mapping[str, Any]) -> History:
    """The history in a context; one without any observation where the context has none."""
    if "observations" not in context:
        return EMPTY_HISTORY
    return History(int(context["first_day"]), np.asarray(context["observations"]))


def history_as_context(history: History) -> Arrays:
    """Arrays of a history: ``first_day``, days since 1970, and ``observations`` (p, n, k), float32.

    Of p quantities in the units of the request fields, n days and k stations; NaN where unknown.
    """
    return {"first_day": np.array(history.first_day), "observations": history.observations}


def latest_days(arrays: Mapping[str, NDArray[Any]], days: int) -> Arrays:
    """Cut a stored context to its last ``days`` days: calls need no years of history.

    Args:
        arrays: ``first_day``, days since 1970, and ``observations`` (p, n, k), float32: quantities, days, stations.
        days: how many.

    Returns:
        The same arrays, with (p, days, k) observations.
    """
    whole = history_from_context(arrays)
    start = max(0, whole.observations.shape[1] - days)
    return history_as_context(History(whole.first_day + start, np.ascontiguousarray(whole.observations[:, start:])))


def values_at(history: History, days: NDArray[np.int64]) -> Floats:
    """All stations' observations on some days.

    Args:
        history: past observations.
        days: (n,), int64, days since 1970.

    Returns:
        Observations (n, quantities, stations), float64, in the units of the request fields; NaN where unknown.
    """
    place, known = _day_indices(history, days)
    found = history.observations[:, place].transpose(1, 0, 2).astype(np.float64)
    found[~known] = np.nan
    return found


def values_before(history: History, days: NDArray[np.int64], stations: NDArray[np.int64]) -> Floats:
    """Each row's own station on the ``DAYS_BACK`` days before, yesterday first.

    Args:
        history: past observations.
        days: (n,), int64, days since 1970.
        stations: numbers of stations (n,), int64.

    Returns:
        Observations (n, quantities, days), float64, in the units of the request fields; NaN where unknown.
    """
    found = np.empty((len(days), len(QUANTITIES), DAYS_BACK))
    for back in range(1, DAYS_BACK + 1):
        place, known = _day_indices(history, days - back)
        found[:, :, back - 1] = np.where(known, history.observations[:, place, stations], np.nan).T
    return found


def _day_indices(history: History, days: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    place = days - history.first_day
    known = (place >= 0) & (place < history.observations.shape[1])
    return np.where(known, place, 0), known


KERNEL_WIDTHS = {"near": 1.5, "region": 4.0, "wide": 10.0}
"""Width of the bell of each distance-weighted mean, degrees of latitude (111 km)."""
DIRECTION_SECTORS = {
    "west": (-1.0, 0.0),
    "east": (1.0, 0.0),
    "north": (0.0, 1.0),
    "south": (0.0, -1.0),
    "southwest": (-0.7, -0.7),
    "northwest": (-0.7, 0.7),
}
"""Directions as (east, north); weather comes from the west."""
NEIGHBOUR_WINDOWS = (*KERNEL_WIDTHS, *DIRECTION_SECTORS)
_SIDE_REACH = 6.0
_FEWEST = 0.01
"""Sum of weights below which a mean is unknown."""

_NORTH = np.array([STATIONS[name].latitude for name in STATION_NAMES])
_EAST = np.array([STATIONS[name].longitude for name in STATION_NAMES])
_DX = (_EAST[None, :] - _EAST[:, None]) * np.cos(np.radians(_NORTH))[:, None]
_DY = _NORTH[None, :] - _NORTH[:, None]
_DISTANCE = np.hypot(_DX, _DY)

NEAREST_STATIONS = np.argsort(_DISTANCE, axis=1, kind="stable")[:, 1:]
"""(stations, others): the others by distance."""


def _weights() -> Floats:
    """(stations, others, windows): how much each other station counts; a station itself counts nothing."""
    bells = [np.exp(-0.5 * (_DISTANCE / reach) ** 2) for reach in KERNEL_WIDTHS.values()]
    bell = np.exp(-0.5 * (_DISTANCE / _SIDE_REACH) ** 2)
    for east, north in DIRECTION_SECTORS.values():
        toward = (_DX * east + _DY * north) / np.maximum(_DISTANCE, 1e-6)
        bells.append(bell * np.maximum(toward, 0.0) ** 2)
    weights = np.stack(bells, axis=2)
    weights[np.arange(len(STATION_NAMES)), np.arange(len(STATION_NAMES))] = 0.0
    return weights


NEIGHBOUR_WEIGHTS = _weights()


def neighbour_means(field: Floats, stations: np.ndarray) -> Floats:
    """Weighted means over the neighbouring stations of each row, by distance and by direction.

    Args:
        field: observations (n, quantities, stations), float64, NaN where unknown.
        stations: numbers of the rows' own stations (n,), int64.

    Returns:
        Means (n, quantities, windows), float64, in the quantities' units; NaN where no station nearby is known.
    """
    known = ~np.isnan(field)
    weights = NEIGHBOUR_WEIGHTS[stations]
    total = np.matmul(np.where(known, field, 0.0), weights)
    behind = np.matmul(known.astype(np.float64), weights)
    enough = behind > _FEWEST
    found: Floats = np.where(enough, total / np.where(enough, behind, 1.0), np.nan)
    return found


def nearest_values(field: Floats, stations: np.ndarray, count: int) -> Floats:
    """Observations at the ``count`` stations nearest to each row's.

    Args:
        field: observations (n, quantities, stations), float64, NaN where unknown.
        stations: numbers of the rows' own stations (n,), int64.
        count: how many.

    Returns:
        Observations (n, quantities, count), float64, in the quantities' units.
    """
    found: Floats = np.take_along_axis(field, NEAREST_STATIONS[stations][:, None, :count], axis=2)
    return found
