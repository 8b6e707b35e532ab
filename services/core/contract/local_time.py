"""Local clock and calendar of a time zone, vectorised in NumPy."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from services.core.contract.fields import in_zone

__all__ = ["LocalTime", "day_number", "in_zone", "local_day", "local_time"]

_FIRST, _LAST = 1990, 2050


class LocalTime(NamedTuple):
    """Clock and calendar; all arrays have the shape of the times that they were made from, and NaN times give NaN."""

    hour: NDArray[np.float64]
    """0.0 to just below 24.0, with minutes as a fraction."""
    weekday: NDArray[np.float64]
    """Monday is 0."""
    day: NDArray[np.float64]
    """Days since 1970-01-01 of the local date."""
    year_fraction: NDArray[np.float64]
    """Position in a year of 365.2425 days, 0 to below 1; near the true fraction, within a day."""


@cache
def _transitions(zone: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """UTC seconds at which the offset changes, and the offset from there on, in seconds."""
    info = ZoneInfo(zone)

    def offset(moment: datetime) -> float:
        delta = moment.astimezone(info).utcoffset()
        assert delta is not None
        return delta.total_seconds()

    starts, offsets = [-np.inf], [offset(datetime(_FIRST, 1, 1, tzinfo=UTC))]
    moment, end = datetime(_FIRST, 1, 1, tzinfo=UTC), datetime(_LAST, 1, 1, tzinfo=UTC)
    while moment < end:
        after = moment + timedelta(days=1)
        if offset(after) != offset(moment):
            low, high = moment, after
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == offset(moment) else (low, middle)
            starts.append(round(high.timestamp()))
            offsets.append(offset(after))
        moment = after
    return np.array(starts), np.array(offsets)


def local_time(seconds: NDArray[np.float64], zone: str) -> LocalTime:
    """Compute clock and calendar of a time zone.

    Args:
        seconds: Seconds since 1970 UTC, float64 of any shape.
        zone: IANA name of the time zone.

    Returns:
        Arrays of the same shape.
    """
    day, hour = local_day(seconds, zone)
    return LocalTime(
        hour=hour,
        weekday=np.mod(day + 3, 7),
        day=day,
        year_fraction=np.mod(day / 365.2425, 1.0),
    )


def local_day(seconds: NDArray[np.float64], zone: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute ``day`` and ``hour`` of ``LocalTime`` alone, for those who look the calendar up by day.

    Args:
        seconds: Seconds since 1970 UTC, float64 of any shape.
        zone: IANA name of the time zone.

    Returns:
        Days since 1970-01-01 of the local date, and hours 0 to below 24, float64 of the same shape.
    """
    starts, offsets = _transitions(zone)
    local = seconds + offsets[starts.searchsorted(seconds, side="right") - 1]
    day = np.floor(local / 86_400)
    return day, (local - day * 86_400) / 3_600


def day_number(value: date) -> int:
    """Return days since 1970-01-01, as in ``LocalTime.day``."""
    return value.toordinal() - date(1970, 1, 1).toordinal()
