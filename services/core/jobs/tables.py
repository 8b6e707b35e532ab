"""The table of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from services.core.database.base import Base, Json
from services.core.jobs.states import State

ID, WORD, NAME, KEY = 32, 40, 120, 200
RUNS = text("state = 'running'")


class JobRow(Base):
    """One job. ``worker`` is the service process that runs it, and has it to itself until ``lease_until``
    unless it renews that. The database itself refuses a second running job of one use case and lane."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(state.value) for state in State)})", name="state"),
        Index("uq_jobs_running", "use_case", "lane", unique=True, sqlite_where=RUNS, postgresql_where=RUNS),
        Index("ix_jobs_service_state_queued_at", "service", "state", "queued_at"),
        Index("ix_jobs_created_at", "created_at"),
    )

    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    """The order of arrival."""
    id: Mapped[str] = mapped_column(String(ID), unique=True)
    idempotency_key: Mapped[str] = mapped_column(String(KEY), unique=True)
    service: Mapped[str] = mapped_column(String(WORD))
    use_case: Mapped[str] = mapped_column(String(NAME))
    step: Mapped[str] = mapped_column(String(WORD))
    lane: Mapped[str] = mapped_column(String(WORD))
    options: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(WORD))
    attempts: Mapped[int] = mapped_column(default=0)
    """How often it was started."""
    reruns: Mapped[int] = mapped_column(default=0)
    """How often it was started again by itself after an interruption, since somebody last asked for it."""
    requested_by: Mapped[str] = mapped_column(String(NAME))
    asked_by: Mapped[str] = mapped_column(String(NAME))
    """The service that posted it."""
    progress: Mapped[list[str]] = mapped_column(Json)
    log_tail: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(ID))
    lease_until: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
