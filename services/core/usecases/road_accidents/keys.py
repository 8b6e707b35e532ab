"""By what past accidents are grouped: where they happened by name, and who collided with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.usecases.contract import Columns
from services.core.usecases.road_accidents.encodings import Level
from services.core.usecases.road_accidents.geography import department_of
from services.core.usecases.road_accidents.vehicles import KINDS

LEVELS: tuple[Level, ...] = (
    Level("department", None, 50.0),
    Level("commune", "department", 10.0),
    Level("road", "department", 5.0),
    Level("street", "commune", 3.0),
    Level("who", None, 20.0),
    Level("scene", "who", 20.0),
)
WEIGHED: tuple[str, ...] = ("department", "commune", "road", "street")
"""Levels whose number of accidents is a feature too."""
_PLACE = ("department", "commune")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "department": _PLACE,
    "commune": _PLACE,
    "road": ("road", *_PLACE),
    "street": ("road", *_PLACE),
    "who": (*KINDS, "pedestrians", "urban"),
    "scene": (*KINDS, "pedestrians", "urban", "collision", "obstacle"),
}


def of(columns: Columns) -> dict[str, list[str]]:
    """Level -> key of every row; the empty key where it is not known."""
    return of_lists({name: values.tolist() for name, values in columns.items()})


def of_lists(lists: Mapping[str, list[Any]]) -> dict[str, list[str]]:
    communes, roads = lists["commune"], lists["road"]
    departments = [
        department or (department_of(commune) if commune else "")
        for department, commune in zip(lists["department"], communes, strict=True)
    ]
    who = _who(lists)
    return {
        "department": departments,
        "commune": communes,
        "road": [f"{d} {r}" if d and r else "" for d, r in zip(departments, roads, strict=True)],
        "street": [f"{c} {r}" if c and r else "" for c, r in zip(communes, roads, strict=True)],
        "who": who,
        "scene": [
            f"{w} {c} {o}" if w else "" for w, c, o in zip(who, lists["collision"], lists["obstacle"], strict=True)
        ],
    }


def _who(lists: Mapping[str, list[Any]]) -> list[str]:
    """In a built-up area or not, and for each kind of vehicle and pedestrians: none, one or several."""
    counts = zip(*(lists[name] for name in (*KINDS, "pedestrians")), strict=True)
    return [
        ("u" if urban else "r") + "".join(["0" if not c else "1" if c == 1.0 else "2" for c in row]) if any(row) else ""
        for urban, row in zip(lists["urban"], counts, strict=True)
    ]
