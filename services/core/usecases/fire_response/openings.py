"""When stations were open, seen from the pumps that they sent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.fire_response.calls import Atlas

Floats = NDArray[np.float64]
_DAY = 86_400.0
SILENCE = 60 * _DAY
"""A station that sent nothing for so long before the data's end is closed,"""
EXPECTED = 12
"""if so many pumps would have been expected of it in that time."""
GRACE = 30 * _DAY
"""A station counts as open so long before its first and after its last pump."""
LONGEST_GAP = 45 * _DAY
"""A hole in all stations' data is nobody's silence."""


def openings(times: Floats, station: NDArray[np.int64], where: Atlas) -> tuple[Floats, Floats]:
    """From when and until when each station was open, seconds since 1970 UTC, infinite where the data
    do not say. Stations of other services, and those that sent no pump, are never open: ``opened`` is
    then infinite."""
    opened, closed = np.full(where.stations, np.inf), np.full(where.stations, -np.inf)
    sent = station >= 0
    np.minimum.at(opened, station[sent], times[sent])
    np.maximum.at(closed, station[sent], times[sent])
    active = np.isfinite(opened) & where.own
    if not active.any():
        return np.where(where.own, -np.inf, np.inf), np.full(where.stations, np.inf)
    clock = np.sort(times[sent])
    elapsed = np.concatenate([[0.0], np.cumsum(np.minimum(np.diff(clock), LONGEST_GAP))])
    since_start = np.interp(opened, clock, elapsed)
    until = np.interp(closed, clock, elapsed)
    count = np.bincount(station[sent], minlength=where.stations)
    telling = np.maximum(SILENCE, EXPECTED * (until - since_start) / np.maximum(count, 1))
    opened = np.where(since_start > telling, opened - GRACE, -np.inf)
    closed = np.where(elapsed[-1] - until > telling, closed + GRACE, np.inf)
    return np.where(active, opened, np.inf), np.where(active, closed, -np.inf)
