"""Job queue of one stage service, as rows in PostgreSQL or SQLite.

Every change is one guarded statement, so several replicas may serve one queue. One job per use case and concurrency
group runs at a time; the others of the group wait in the order of arrival."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, Engine, Update, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.core.errors import ConflictError, NotFoundError
from services.core.jobs.tables import Job, JobResult, JobRow, JobState, from_row
from services.core.steps import JOBS

ResultT = TypeVar("ResultT")

MAX_LISTED = 500
MAX_AUTOMATIC_RERUNS = 1
_FINAL = tuple(state for state in JobState if state.final)
_RESET_COLUMNS: Mapping[str, Any] = {
    "result": None,
    "error": None,
    "finished_at": None,
    "worker": None,
    "lease_until": None,
    "cancel_requested": False,
}
INTERRUPTED_ERROR = {
    "problem": "The service ended while the job ran. Nothing of it was published.",
    "expected": "",
    "action": "Retry the job.",
}


def _now() -> datetime:
    return datetime.now(UTC)


class JobQueue:
    """The jobs of ``service``. All methods raise SQLAlchemy's errors if the database does not answer."""

    def __init__(self, engine: Engine, service: str, *, clock: Callable[[], datetime] = _now) -> None:
        self._engine = engine
        self._service = service
        self._clock = clock

    # --- for callers ----------------------------------------------------------------------------------

    def submit(
        self,
        use_case: str,
        step: str,
        options: Mapping[str, Any],
        key: str,
        *,
        requested_by: str = "",
        asked_by: str = "",
    ) -> tuple[Job, bool]:
        """Insert a job; return the job of this idempotency key and whether it is new.

        Raises:
            ConflictError: the key was used for another job.
        """
        now = self._clock()
        row = JobRow(
            id=uuid4().hex,
            idempotency_key=key,
            service=self._service,
            use_case=use_case,
            step=step,
            lane=JOBS[step].lane,
            options=dict(options),
            state=JobState.QUEUED,
            requested_by=requested_by,
            asked_by=asked_by,
            progress=[],
            log_tail="",
            created_at=now,
            queued_at=now,
        )
        try:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                session.add(row)
        except IntegrityError:
            return self._known(key, use_case, step, options), False
        return from_row(row), True

    def _known(self, key: str, use_case: str, step: str, options: Mapping[str, Any]) -> Job:
        with Session(self._engine) as session:
            row = session.scalars(select(JobRow).where(JobRow.idempotency_key == key)).one()
            same = (row.service, row.use_case, row.step, row.options) == (self._service, use_case, step, dict(options))
            if not same:
                raise ConflictError(
                    "The idempotency key stands for another job.",
                    expected="a key of its own for each job, and the same job for the same key",
                    action=f"Look at job {row.id}, or send the request with a new key.",
                )
            return from_row(row)

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: the service has no such job.
        """
        with Session(self._engine) as session:
            row = session.scalars(select(JobRow).where(self._mine(job_id))).one_or_none()
            if row is None:
                raise NotFoundError(f"The service {self._service} has no such job.", action="GET /jobs lists them.")
            return from_row(row)

    def newest(self, *, use_case: str | None = None, state: JobState | None = None, limit: int = 50) -> list[Job]:
        """List matching jobs, newest first."""
        wanted = select(JobRow).where(JobRow.service == self._service)
        if use_case is not None:
            wanted = wanted.where(JobRow.use_case == use_case)
        if state is not None:
            wanted = wanted.where(JobRow.state == state)
        with Session(self._engine) as session:
            rows = session.scalars(wanted.order_by(JobRow.sequence.desc()).limit(min(limit, MAX_LISTED)))
            return [from_row(row) for row in rows]

    def read(self, query: Callable[[Session], ResultT]) -> ResultT:
        """Run a query on the jobs of all services."""
        with Session(self._engine) as session:
            return query(session)

    def cancel(self, job_id: str) -> Job:
        """Cancel a queued job, or request cancellation of a running one from its worker. An ended job is not
        changed."""
        self.get(job_id)
        with self._engine.begin() as connection:
            waiting = connection.execute(
                self._change(job_id, JobState.QUEUED).values(
                    state=JobState.CANCELLED, finished_at=self._clock(), error=cancelled_error()
                )
            )
            if not waiting.rowcount:
                connection.execute(self._change(job_id, JobState.RUNNING).values(cancel_requested=True))
        return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Requeue a job that did not succeed under its id. A queued or running one is not changed.

        Raises:
            ConflictError: the job has succeeded.
        """
        with self._engine.begin() as connection:
            connection.execute(
                self._change(job_id, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED).values(
                    **_RESET_COLUMNS, state=JobState.QUEUED, queued_at=self._clock(), progress=[], log_tail="", reruns=0
                )
            )
        job = self.get(job_id)
        if job.state == JobState.SUCCEEDED:
            raise ConflictError("The job has succeeded.", action="Send a new one, with a new idempotency key.")
        return job

    def counts(self) -> dict[JobState, int]:
        """Return the number of queued and running jobs."""
        live = (JobState.QUEUED, JobState.RUNNING)
        asked = select(JobRow.state, func.count()).where(JobRow.service == self._service, JobRow.state.in_(live))
        with self._engine.connect() as connection:
            found = {JobState(state): number for state, number in connection.execute(asked.group_by(JobRow.state))}
        return {state: found.get(state, 0) for state in live}

    # --- for workers ----------------------------------------------------------------------------------

    def claim(self, worker: str, lease_seconds: float) -> Job | None:
        """Claim the next runnable job for this worker; None if there is none."""
        for job_id in self._next_per_group():
            now = self._clock()
            try:
                with Session(self._engine) as session, session.begin():
                    taken = session.execute(
                        self._change(job_id, JobState.QUEUED).values(
                            state=JobState.RUNNING,
                            worker=worker,
                            lease_until=now + timedelta(seconds=lease_seconds),
                            started_at=now,
                            attempts=JobRow.attempts + 1,
                        )
                    )
                    if taken.rowcount:  # type: ignore[attr-defined]
                        return from_row(session.scalars(select(JobRow).where(self._mine(job_id))).one())
            except IntegrityError:
                continue  # another worker has just started a job of the group
        return None

    def _next_per_group(self) -> list[str]:
        """Return the first queued job of every group without a running job, oldest first."""
        live = select(JobRow.id, JobRow.use_case, JobRow.lane, JobRow.state).where(
            JobRow.state.in_((JobState.QUEUED, JobState.RUNNING)), JobRow.service == self._service
        )
        with self._engine.connect() as connection:
            rows = connection.execute(live.order_by(JobRow.queued_at, JobRow.sequence)).all()
        taken = {(row.use_case, row.lane) for row in rows if row.state == JobState.RUNNING}
        heads = []
        for row in rows:
            if row.state == JobState.QUEUED and (row.use_case, row.lane) not in taken:
                taken.add((row.use_case, row.lane))
                heads.append(row.id)
        return heads

    def renew(self, job_id: str, worker: str, lease_seconds: float, **values: Any) -> tuple[bool, bool]:
        """Renew the lease of a running job and store ``values`` (``progress``, ``log_tail``). Returns whether this
        worker still owns it, and whether cancellation was requested."""
        with self._engine.begin() as connection:
            renewed = connection.execute(
                self._held(job_id, worker).values(
                    lease_until=self._clock() + timedelta(seconds=lease_seconds), **values
                )
            ).rowcount
            cancel = connection.scalar(select(JobRow.cancel_requested).where(self._mine(job_id)))
        return bool(renewed), bool(cancel)

    def finish(self, job_id: str, worker: str, outcome: JobResult, **values: Any) -> bool:
        """Store a job's result. False if this worker lost the job meanwhile."""
        with self._engine.begin() as connection:
            return bool(
                connection.execute(
                    self._held(job_id, worker).values(
                        state=outcome.state,
                        result=outcome.result,
                        error=outcome.error,
                        finished_at=self._clock(),
                        worker=None,
                        lease_until=None,
                        **values,
                    )
                ).rowcount
            )

    def interrupt(self, job_id: str, worker: str, *, rerun: bool) -> JobState | None:
        """Handle a job whose worker is gone or stopping: requeue it if allowed (``rerun``), else mark it interrupted,
        or cancelled if that was requested. Returns its new state; None if this worker did not own it."""
        return self._interrupt(job_id, JobRow.worker == worker, rerun=rerun)

    def requeue_expired_leases(self, *, rerun: bool) -> dict[str, JobState]:
        """Do the same for all running jobs of the service with an expired lease."""
        gone = JobRow.lease_until < self._clock()
        with self._engine.connect() as connection:
            found = connection.scalars(
                select(JobRow.id).where(JobRow.service == self._service, JobRow.state == JobState.RUNNING, gone)
            ).all()
        changed = {job_id: self._interrupt(job_id, gone, rerun=rerun) for job_id in found}
        return {job_id: state for job_id, state in changed.items() if state is not None}

    def _interrupt(self, job_id: str, guard: ColumnElement[bool], *, rerun: bool) -> JobState | None:
        with Session(self._engine) as session, session.begin():
            row = session.scalars(
                select(JobRow).where(self._mine(job_id), JobRow.state == JobState.RUNNING, guard).with_for_update()
            ).one_or_none()
            if row is None:
                return None
            row.worker = row.lease_until = None
            if row.cancel_requested:
                row.state, row.error = JobState.CANCELLED, cancelled_error()
            elif rerun and row.reruns < MAX_AUTOMATIC_RERUNS:
                row.state, row.reruns, row.started_at = JobState.QUEUED, row.reruns + 1, None
                row.progress = [*row.progress, f"attempt {row.attempts} was interrupted; the job runs again"]
                return JobState.QUEUED
            else:
                row.state, row.error = JobState.INTERRUPTED, dict(INTERRUPTED_ERROR)
            row.finished_at = self._clock()
            return JobState(row.state)

    def prune(self, keep_days: int) -> int:
        """Delete jobs that ended more than ``keep_days`` ago; return how many."""
        old = self._clock() - timedelta(days=keep_days)
        with self._engine.begin() as connection:
            return connection.execute(
                delete(JobRow).where(
                    JobRow.service == self._service, JobRow.state.in_(_FINAL), JobRow.finished_at < old
                )
            ).rowcount

    # --- internal -------------------------------------------------------------------------------------

    def _mine(self, job_id: str) -> ColumnElement[bool]:
        return (JobRow.id == job_id) & (JobRow.service == self._service)

    def _change(self, job_id: str, *states: JobState) -> Update:
        return update(JobRow).where(self._mine(job_id), JobRow.state.in_(states))

    def _held(self, job_id: str, worker: str) -> Update:
        return self._change(job_id, JobState.RUNNING).where(JobRow.worker == worker)


def cancelled_error() -> dict[str, str]:
    return {"problem": "The job was cancelled.", "expected": "", "action": "Retry it if it is wanted after all."}
