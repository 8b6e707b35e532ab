"""The table of alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.core.database.base import Base

ID, WORD, NAME = 64, 40, 120
"""Longest values, in characters."""


class AlertRow(Base):
    """One time that an alert fired, from ``started_at`` to ``ended_at``. ``seen_at`` is when Alertmanager last
    spoke of it: one that it has forgotten is not shown for ever."""

    __tablename__ = "alerts"
    __table_args__ = (Index("ix_alerts_ended_at_seen_at", "ended_at", "seen_at"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    severity: Mapped[str] = mapped_column(String(WORD))
    use_case: Mapped[str] = mapped_column(String(NAME), default="")
    summary_en: Mapped[str] = mapped_column(Text)
    summary_fr: Mapped[str] = mapped_column(Text)
    runbook: Mapped[str] = mapped_column(Text, default="")
    labels: Mapped[dict[str, Any]]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
