"""Runs of the monitoring, changes of the world that they found, and outcomes that they hold back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from services.core.database.base import Base, Json

ID, WORD, NAME = 32, 16, 64


class MonitoringRun(Base):
    """One look at a use case's calls. ``summary`` is what people and programs read of it; the columns beside it
    are those that decisions are made by."""

    __tablename__ = "monitoring_runs"
    __table_args__ = (Index("ix_monitoring_runs_of_use_case", "use_case", "finished_at", "id"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    use_case: Mapped[str] = mapped_column(String(NAME))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    window_to: Mapped[datetime | None]
    """The newest call's own time: what cooldown and duration are counted by."""
    outcomes_until: Mapped[datetime | None]
    """When the newest outcome that was looked at had arrived: later ones are no training rows yet."""
    model_version: Mapped[str] = mapped_column(String(NAME))
    verdict: Mapped[str] = mapped_column(String(WORD))
    breached: Mapped[bool] = mapped_column(Boolean)
    """Whether the live error, or that of a segment, is beyond its limit."""
    inputs_drifted: Mapped[bool] = mapped_column(Boolean)
    action: Mapped[str] = mapped_column(String(WORD))
    report: Mapped[bool] = mapped_column(Boolean)
    """Whether there is an HTML report still."""
    summary: Mapped[dict[str, Any]] = mapped_column(Json)


class WorldChange(Base):
    """From ``since`` on, calls of ``segments`` behave otherwise than before; an empty list means all of them.
    Each segment is ``{"column", "value", "box"}``: the rows whose column holds the value or, where examples have no
    such column, whose place lies in the box (field -> [low, high])."""

    __tablename__ = "monitoring_changes"
    __table_args__ = (Index("ix_monitoring_changes_of_use_case", "use_case", "opened_at"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    use_case: Mapped[str] = mapped_column(String(NAME))
    since: Mapped[datetime]
    segments: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    opened_at: Mapped[datetime]
    run_id: Mapped[str] = mapped_column(String(ID))


class OutcomeHold(Base):
    """Outcomes of a centre that arrived from ``since`` on (until ``until``, where that is known) are no training
    rows and judge no model, until a person lifts the hold."""

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
