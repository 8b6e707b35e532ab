"""Moments and time zones with the standard library alone, for request models."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def in_zone(moment: datetime, zone: str) -> datetime:
    """The moment with a zone: a naive one means the use case's own zone. Of an hour that happens
    twice the first is meant; a time inside the hour that never happens is moved on by the gap."""
    if moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=_zone(zone)).astimezone(UTC)
