"""A job as seen by the platform, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core.errors import VigieError
from services.core.jobs.tables import JobRow, JobState


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
    return {"problem": error.problem, "expected": error.expected, "action": error.action}


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
