"""Local clock times for one call or many, by the department's time zone; standard library alone."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from services.core.usecases.road_accidents.place import FRANCE

_FIRST_YEAR, _LAST_YEAR = 2000, 2060


@cache
def offsets(zone: str) -> tuple[list[float], list[float]]:
    """UTC seconds at which the zone's offset changes, and the offsets (seconds): one more, the first of them
    holding before the first change. Changes are found to the hour, where all of them lie."""
    info = ZoneInfo(zone)

    def offset(moment: datetime) -> float:
        delta = moment.astimezone(info).utcoffset()
        assert delta is not None
        return delta.total_seconds()

    moment, end = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)
    changes: list[float] = []
    found = [offset(moment)]
    while moment < end:
        after = moment + timedelta(days=1)
        if offset(after) != found[-1]:
            while offset(moment) == found[-1]:
                moment += timedelta(hours=1)
            changes.append(moment.timestamp())
            found.append(offset(moment))
        moment = after
    return changes, found


@cache
def by_department() -> dict[str, tuple[list[float], list[float]]]:
    """Department -> ``offsets`` of its zone, for those with a zone of their own."""
    return {department: offsets(zone) for department, zone in FRANCE.zones.items()}


def local_seconds(seconds: list[float], departments: list[str]) -> list[float]:
    """Seconds since 1970 on the local clock of each accident, from seconds since 1970 UTC; NaN stays NaN."""
    mainland, others = offsets(FRANCE.zone), by_department()
    local = []
    for moment, department in zip(seconds, departments, strict=True):
        changes, found = others.get(department, mainland)
        local.append(moment + found[bisect_right(changes, moment)])
    return local
