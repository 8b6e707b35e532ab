"""The simulated clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from services.core.errors import VigieError


@dataclass(frozen=True, slots=True)
class Clock:
    """``speed`` simulated seconds pass in one second."""

    start: datetime
    speed: float
    zone: ZoneInfo

    def at(self, elapsed: float) -> datetime:
        """The simulated moment, in UTC, ``elapsed`` seconds after the beginning."""
        return self.start + timedelta(seconds=elapsed * self.speed)


def start_of(starts: str | None, zone: ZoneInfo, length: timedelta, now: datetime) -> datetime:
    """When a simulation of ``length`` (on its own clock) begins. It ends before ``now``, because nobody reports what
    has not happened yet; only a moment that is given in full may lie elsewhere in the past.

    Raises:
        VigieError: ``starts`` is neither a moment nor an hour of the day.
    """
    latest = now - length
    if starts is None:
        return latest
    try:
        if "T" in starts:
            return datetime.fromisoformat(starts).replace(tzinfo=zone).astimezone(UTC)
        hour = datetime.strptime(starts, "%H:%M").time()  # noqa: DTZ007 - the zone comes below
    except ValueError:
        raise VigieError(
            f"{starts!r} is no beginning of a simulation.", expected="YYYY-MM-DDTHH:MM or HH:MM, in local time"
        ) from None
    day = latest.astimezone(zone).date()
    begin = datetime.combine(day, hour, zone)
    return (begin if begin <= latest else datetime.combine(day - timedelta(days=1), hour, zone)).astimezone(UTC)
