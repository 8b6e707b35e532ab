"""Calls as the board shows them: what was asked and answered in a line, whatever the use case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from services.core.usecases.contract import Classes, Place, Probability, Quantity, Target, UseCase
from services.dashboard.answers import read
from services.dashboard.client import Service
from services.dashboard.fields import fields_of
from services.dashboard.maps import extent
from services.dashboard.session import Session

PERIODS: dict[str, timedelta | None] = {
    "hour": timedelta(hours=1),
    "shift": timedelta(hours=12),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "ever": None,
}
AREAS = ("nw", "n", "ne", "w", "c", "e", "sw", "s", "se")
Call = Mapping[str, Any]


def latest(session: Session, use_case: UseCase, limit: int, **filters: Any) -> list[dict[str, Any]]:
    """The newest calls that this person may see. ``since`` and ``until`` are moments."""
    named = {"from": filters.pop("since", None), "to": filters.pop("until", None)}
    moments = {name: moment.isoformat() for name, moment in named.items() if moment is not None}
    found = session.client.get(
        Service.PREDICTION, f"/v1/{use_case.name}/predictions", limit=limit, **moments, **filters
    )
    calls: list[dict[str, Any]] = found["predictions"]
    return calls


def since(period: str) -> datetime | None:
    length = PERIODS[period]
    return None if length is None else datetime.now(UTC) - length


def zone_of(use_case: UseCase) -> str:
    """The use case's own time zone, else the browser's."""
    return use_case.zone or st.context.timezone or "UTC"


def asked(session: Session, use_case: UseCase, call: Call) -> str:
    """The call's words that say most: up to four of its categories and short texts."""
    found = []
    for name, field in fields_of(use_case.request).items():
        value = call["request"].get(name)
        if field.kind in {"category", "text"} and value and len(str(value)) <= 60 and not field.free_text:
            found.append(str(value))
        elif field.free_text and value:
            found.append(str(value)[:60])
    return " · ".join(found[:4]) or session.words("terms.not_given")


def answered(session: Session, use_case: UseCase, call: Call) -> str:
    """Each target in a few characters."""
    formats, parts = session.formats, []
    found = read(use_case, call["answer"])
    for quantity in found.quantities:
        unit = quantity.output.unit
        low, high = (
            formats.number(value, 0 if unit in {"s", "m"} else 1) for value in (quantity.lower, quantity.upper)
        )
        parts.append(f"{formats.quantity(quantity.value, unit)} ({low}–{high})")
    parts += [
        f"{session.words.of(probability.target.title)}: {formats.percent(probability.probability)}"
        for probability in found.probabilities
    ]
    for classes in found.classes:
        name = classes.names.get(classes.most_likely) or classes.most_likely
        parts.append(f"{session.words.of(classes.target.title)}: {name}")
    return " · ".join(parts)


def outcome(session: Session, use_case: UseCase, call: Call) -> str:
    """What was reported, in words; empty where nothing was."""
    reported = call["outcome"] or {}
    parts = []
    for label, target in labels(use_case).items():
        if label in reported:
            title = session.words.of(target.title)
            parts.append(f"{title}: {said(session, target, reported[label])}")
    return " · ".join(parts)


def said(session: Session, target: Target, value: Any) -> str:
    if isinstance(target.output, Quantity):
        return session.formats.quantity(value, target.output.unit)
    if isinstance(target.output, Probability):
        return session.words("terms.yes" if value else "terms.no")
    assert isinstance(target.output, Classes)
    return str(value)


def labels(use_case: UseCase) -> dict[str, Target]:
    """What can be reported: each label with the first target that it belongs to."""
    found: dict[str, Target] = {}
    for target in use_case.targets:
        found.setdefault(target.label, target)
    return found


def risk_word(session: Session, call: Call) -> str:
    key = {True: "risk_yes", False: "risk_no", None: "risk_none"}[call["risk"]]
    return session.words(f"board.{key}")


def position(use_case: UseCase, call: Call, places: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    """Where the call lies on the use case's map."""
    place, request = use_case.place, call["request"]
    if place is None:
        return None
    x, y = request.get(place.x), request.get(place.y)
    if isinstance(x, int | float) and isinstance(y, int | float):
        return float(x), float(y)
    return places.get(str(request.get(place.named or "")))


def area_of(place: Place, at: tuple[float, float]) -> str:
    """Which ninth of the map, as on a compass."""
    (west, east), (south, north) = extent(place)
    column = min(2, max(0, int(3 * (at[0] - west) / (east - west))))
    row = min(2, max(0, int(3 * (north - at[1]) / (north - south))))
    return AREAS[3 * row + column]
