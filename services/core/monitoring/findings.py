"""What training asks of monitoring: which outcomes may be learned from, and what has changed in the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from services.core.monitoring.tables import MonitoringRun, OutcomeHold, WorldChange

Usable = Callable[[Mapping[str, Any]], bool]
REMEMBERED = timedelta(days=400)
"""A change that was found so long ago lies behind all data that a training should still learn from."""


def usable_reports(connection: Connection, use_case: str) -> Usable:
    """Whether a report (a row of ``outcomes``) may become a training row: its centre is not held back and, where this
    use case is monitored at all, monitoring has looked at it."""
    looked = connection.execute(
        select(func.max(MonitoringRun.outcomes_until)).where(MonitoringRun.use_case == use_case)
    ).scalar_one()
    held = holds(connection, use_case)

    def usable(report: Mapping[str, Any]) -> bool:
        if looked is not None and report["received_at"] > looked:
            return False
        return not is_held(held, report["centre"], report["received_at"])

    return usable


def holds(connection: Connection, use_case: str) -> list[dict[str, Any]]:
    """The holds that are in force."""
    query = select(OutcomeHold.__table__).where(OutcomeHold.use_case == use_case, OutcomeHold.lifted_at.is_(None))
    return [dict(row) for row in connection.execute(query.order_by(OutcomeHold.id)).mappings()]


def is_held(held: list[dict[str, Any]], centre: str, received_at: datetime) -> bool:
    return any(
        hold["centre"] == centre
        and hold["since"] <= received_at
        and (hold["until"] is None or received_at < hold["until"])
        for hold in held
    )


def changes(connection: Connection, use_case: str) -> list[dict[str, Any]]:
    """The changes of the world that training minds, oldest first: ``since`` (ISO 8601) and ``segments``."""
    newest = connection.execute(
        select(func.max(WorldChange.opened_at)).where(WorldChange.use_case == use_case)
    ).scalar_one()
    if newest is None:
        return []
    query = select(WorldChange.since, WorldChange.segments).where(
        WorldChange.use_case == use_case, WorldChange.opened_at > newest - REMEMBERED
    )
    found = connection.execute(query.order_by(WorldChange.since, WorldChange.id))
    return [{"since": row.since.isoformat(), "segments": list(row.segments)} for row in found]
