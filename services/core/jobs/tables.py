"""Jobs and gateway runs: tables, states, and a job as the platform sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, Text, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.core.database.connection import DIGEST, ID, NAME, WORD, Base, Json
from services.core.errors import VigieError
from services.core.settings import CHECKOUT, settings


class JobState(StrEnum):
    """States of a job; those after RUNNING are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """the service ended while the job ran, and the job is not rerun automatically"""

    @property
    def final(self) -> bool:
        """Whether the job has ended and changes only on request."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


KEY = 200
RUNS = text("state = 'running'")


class JobRow(Base):
    """A job. ``worker``: the service process that owns it until ``lease_until``, unless it renews the lease. A unique
    index prevents a second running job of one use case and concurrency group."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(state.value) for state in JobState)})", name="state"),
        Index("uq_jobs_running", "use_case", "lane", unique=True, sqlite_where=RUNS, postgresql_where=RUNS),
        Index("ix_jobs_service_state_queued_at", "service", "state", "queued_at"),
        Index("ix_jobs_created_at", "created_at"),
    )

    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    """Order of arrival."""
    id: Mapped[str] = mapped_column(String(ID), unique=True)
    idempotency_key: Mapped[str] = mapped_column(String(KEY), unique=True)
    service: Mapped[str] = mapped_column(String(WORD))
    use_case: Mapped[str] = mapped_column(String(NAME))
    step: Mapped[str] = mapped_column(String(WORD))
    lane: Mapped[str] = mapped_column(String(WORD))
    options: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(WORD))
    attempts: Mapped[int] = mapped_column(default=0)
    """Number of starts."""
    reruns: Mapped[int] = mapped_column(default=0)
    """Number of automatic reruns after interruptions since the last request."""
    requested_by: Mapped[str] = mapped_column(String(NAME))
    asked_by: Mapped[str] = mapped_column(String(NAME))
    """Service that submitted the job."""
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


class RunRow(Base):
    """An ingestion or retraining started by the gateway: a run of an Airflow DAG, or a sequence of the stage services'
    jobs that a gateway advances, also after a restart."""

    __tablename__ = "admin_runs"
    __table_args__ = (Index("ix_admin_runs_kind_created", "kind", "created"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    kind: Mapped[str] = mapped_column(String(WORD))
    use_case: Mapped[str] = mapped_column(String(NAME))
    backend: Mapped[str] = mapped_column(String(WORD))
    state: Mapped[str] = mapped_column(String(WORD), index=True)
    options: Mapped[dict[str, Any]]
    steps: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    idempotency_key: Mapped[str] = mapped_column(String(DIGEST), unique=True)
    requested_by: Mapped[str] = mapped_column(String(NAME))
    centre: Mapped[str] = mapped_column(String(NAME))
    created: Mapped[datetime]
    finished: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    owner: Mapped[str] = mapped_column(String(ID), default="")
    owned_until: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended: state, result or error."""

    state: JobState
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None


def failed_result(
    problem: str, *, expected: str = "", action: str = "", state: JobState = JobState.FAILED
) -> JobResult:
    return JobResult(state, error={"problem": problem, "expected": expected, "action": action})


def error_payload(error: VigieError) -> dict[str, str]:
    """Convert an error for the API, without the machine's own folders."""
    folders = ((str(settings().home.root), "VIGIE_HOME"), (str(CHECKOUT), "."))

    def short(text: str) -> str:
        for folder, name in folders:
            text = text.replace(folder, name)
        return text

    return {"problem": short(error.problem), "expected": short(error.expected), "action": short(error.action)}


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored and returned by the API."""

    id: str
    service: str
    use_case: str
    step: str
    state: JobState
    options: dict[str, Any]
    progress: tuple[str, ...]
    log_tail: str
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    """``problem``, ``expected`` and ``action`` if the job did not succeed."""
    idempotency_key: str
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int


_JOBS_LOOKED_AT = 200


def from_row(row: JobRow) -> Job:
    return Job(
        id=row.id,
        service=row.service,
        use_case=row.use_case,
        step=row.step,
        state=JobState(row.state),
        options=row.options,
        progress=tuple(row.progress),
        log_tail=row.log_tail,
        result=row.result,
        error=row.error,
        idempotency_key=row.idempotency_key,
        requested_by=row.requested_by,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempts=row.attempts,
    )


def last_retention(session: Session) -> datetime | None:
    """Return when housekeeping last succeeded and was no dry run; None if it never did, or its jobs are gone."""
    wanted = select(JobRow.finished_at, JobRow.options).where(
        JobRow.step == "housekeeping", JobRow.state == JobState.SUCCEEDED
    )
    rows = session.execute(wanted.order_by(JobRow.sequence.desc()).limit(_JOBS_LOOKED_AT))
    return next((finished for finished, options in rows if options.get("dry_run") is False), None)
