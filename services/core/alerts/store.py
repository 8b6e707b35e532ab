"""Keeping alerts: each time that one fires is a row, however often Alertmanager speaks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.core.alerts.notice import NoticedAlert
from services.core.alerts.tables import AlertRow

UNHEARD = timedelta(hours=1)
"""Alertmanager repeats what still fires every quarter of an hour (``repeat_interval`` of its route to the gateway);
an alert that it has not spoken of for so long is over, though nobody said so."""
KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Change:
    """What a notice changed, for the audit log."""

    alert: NoticedAlert
    action: Literal["opened", "closed"]


def take(session: Session, alerts: Sequence[NoticedAlert], now: datetime) -> list[Change]:
    """Keep what a notice says; old rows go. Returns what is new in it: repeating a notice changes nothing, and an
    alert that was closed stays so."""
    changes: list[Change] = []
    for alert in alerts:
        added = _add(session, alert, now)
        row = session.get_one(AlertRow, alert.id, populate_existing=True)
        if added:
            changes.append(Change(alert, "opened"))
        if row.ended_at is not None:
            continue
        row.seen_at = now
        row.summary_en, row.summary_fr = alert.summary("en"), alert.summary("fr")
        if alert.status == "resolved":
            row.ended_at = alert.ends_at or now
            changes.append(Change(alert, "closed"))
    session.flush()
    session.execute(delete(AlertRow).where(AlertRow.seen_at < now - KEPT))
    return changes


def open_alerts(session: Session, now: datetime) -> list[AlertRow]:
    """What fires now: the gravest first, then the newest."""
    rank = case({"page": 0, "ticket": 1}, value=AlertRow.severity, else_=2)
    asked = select(AlertRow).where(AlertRow.ended_at.is_(None), AlertRow.seen_at >= now - UNHEARD)
    return list(session.scalars(asked.order_by(rank, AlertRow.started_at.desc(), AlertRow.id)))


def _add(session: Session, alert: NoticedAlert, now: datetime) -> bool:
    """Whether the row is new; two notices at once make one."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    values = {
        "id": alert.id,
        "name": alert.name,
        "severity": alert.severity,
        "use_case": alert.use_case,
        "summary_en": alert.summary("en"),
        "summary_fr": alert.summary("fr"),
        "runbook": alert.annotations.get("runbook", ""),
        "labels": alert.labels,
        "started_at": alert.starts_at,
        "seen_at": now,
        "ended_at": None,
    }
    done = session.execute(
        dialect.insert(AlertRow).values(values).on_conflict_do_nothing(index_elements=["id"]).returning(AlertRow.id)
    )
    return done.first() is not None
