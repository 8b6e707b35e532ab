"""State of drift monitoring that other services read: monitoring runs, concept-drift events and quarantined labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, Connection, Index, Integer, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from services.core.database.connection import Base, Json

ID, WORD, NAME = 32, 16, 64
TOO_FEW = "too_few"
"""Verdict of a run without a model, or with too few calls."""


class MonitoringRunRow(Base):
    """A monitoring run of a use case. ``summary`` is for display and API; the other columns are read by decisions."""

    __tablename__ = "monitoring_runs"
    __table_args__ = (Index("ix_monitoring_runs_of_use_case", "use_case", "finished_at", "id"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    use_case: Mapped[str] = mapped_column(String(NAME))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    window_to: Mapped[datetime | None]
    """Time of the newest call, which cooldown and duration are measured by."""
    outcomes_until: Mapped[datetime | None]
    """When the newest outcome evaluated came into the database: later ones are not training rows yet. A run with the
    verdict ``too_few`` has evaluated nothing."""
    model_version: Mapped[str] = mapped_column(String(NAME))
    verdict: Mapped[str] = mapped_column(String(WORD))
    breached: Mapped[bool] = mapped_column(Boolean)
    """Whether the live error, overall or of a segment, exceeds its limit."""
    inputs_drifted: Mapped[bool] = mapped_column(Boolean)
    action: Mapped[str] = mapped_column(String(WORD))
    report: Mapped[bool] = mapped_column(Boolean)
    """Whether its HTML report still exists."""
    summary: Mapped[dict[str, Any]] = mapped_column(Json)


class ConceptDriftEventRow(Base):
    """From ``since`` on, calls of ``segments`` behave differently; an empty list means all calls.

    Each segment is ``{"column", "value", "box"}``: rows whose column holds the value or, if the examples lack the
    column, whose position lies in the box (field -> [low, high])."""

    __tablename__ = "monitoring_changes"
    __table_args__ = (Index("ix_monitoring_changes_of_use_case", "use_case", "opened_at"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    use_case: Mapped[str] = mapped_column(String(NAME))
    since: Mapped[datetime]
    segments: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    opened_at: Mapped[datetime]
    run_id: Mapped[str] = mapped_column(String(ID))


class LabelQuarantineRow(Base):
    """Outcomes of a centre that arrived from ``since`` on (until ``until``, if set) are excluded from training and
    evaluation until an operator lifts the hold."""

    __tablename__ = "monitoring_holds"
    __table_args__ = (Index("ix_monitoring_holds_of_use_case", "use_case", "centre", "since"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    use_case: Mapped[str] = mapped_column(String(NAME))
    centre: Mapped[str] = mapped_column(String(NAME))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    code: Mapped[str] = mapped_column(String(NAME))
    reason: Mapped[dict[str, Any]] = mapped_column(Json)
    """``en`` and ``fr``."""
    created_at: Mapped[datetime]
    run_id: Mapped[str] = mapped_column(String(ID))
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(String(120))


LabelFilter = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
DRIFT_LOOKBACK = timedelta(days=400)
"""Older concept-drift events precede all data used for training."""


def usable_label_filter(connection: Connection, use_case: str) -> LabelFilter:
    """Return a predicate for reports (rows of ``outcomes``) and their predictions: usable as training rows if their
    centre is not quarantined and, in a monitored use case, a monitoring run has evaluated them, however late they
    came."""
    looked = evaluated_until(connection, use_case)
    runs = select(MonitoringRunRow.id).where(MonitoringRunRow.use_case == use_case).limit(1)
    monitored = connection.execute(runs).first() is not None
    held = quarantined_labels(connection, use_case)

    def usable(report: Mapping[str, Any], prediction: Mapping[str, Any]) -> bool:
        if monitored and (looked is None or max(stored_at(report), stored_at(prediction)) > looked):
            return False
        return not is_quarantined(held, report["centre"], report["received_at"])

    return usable


def evaluated_until(connection: Connection, use_case: str) -> datetime | None:
    """When the newest outcome that a monitoring run has evaluated was stored; None before there was one."""
    query = select(func.max(MonitoringRunRow.outcomes_until)).where(
        MonitoringRunRow.use_case == use_case, MonitoringRunRow.verdict != TOO_FEW
    )
    found: datetime | None = connection.execute(query).scalar_one()
    return found


def stored_at(row: Mapping[str, Any]) -> datetime:
    """When a call or a report came into the database; of rows of release 0.1.0 when it was received."""
    moment: datetime = row.get("stored_at") or row["received_at"]
    return moment


def quarantined_labels(connection: Connection, use_case: str) -> list[dict[str, Any]]:
    """List the active holds."""
    query = select(LabelQuarantineRow.__table__).where(
        LabelQuarantineRow.use_case == use_case, LabelQuarantineRow.lifted_at.is_(None)
    )
    return [dict(row) for row in connection.execute(query.order_by(LabelQuarantineRow.id)).mappings()]


def is_quarantined(held: list[dict[str, Any]], centre: str, received_at: datetime) -> bool:
    return any(
        hold["centre"] == centre
        and hold["since"] <= received_at
        and (hold["until"] is None or received_at < hold["until"])
        for hold in held
    )


def concept_drift_events(connection: Connection, use_case: str) -> list[dict[str, Any]]:
    """List the concept-drift events that training considers, oldest first: ``since`` (ISO 8601) and ``segments``."""
    newest = connection.execute(
        select(func.max(ConceptDriftEventRow.opened_at)).where(ConceptDriftEventRow.use_case == use_case)
    ).scalar_one()
    if newest is None:
        return []
    query = select(ConceptDriftEventRow.since, ConceptDriftEventRow.segments).where(
        ConceptDriftEventRow.use_case == use_case, ConceptDriftEventRow.opened_at > newest - DRIFT_LOOKBACK
    )
    found = connection.execute(query.order_by(ConceptDriftEventRow.since, ConceptDriftEventRow.id))
    return [{"since": row.since.isoformat(), "segments": list(row.segments)} for row in found]
