"""Runs the jobs of a service's queue from a background thread, each job in its own processes."""

from __future__ import annotations

import time
from uuid import uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.core.background import PeriodicThread
from services.core.jobs.job_process import JobLimits, JobProcess
from services.core.jobs.metrics import JobMetrics
from services.core.jobs.options import JobSettings
from services.core.jobs.queue import JobQueue
from services.core.jobs.tables import JobState

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
PRUNE_SECONDS = 3_600.0
STOP_SECONDS = 6.0
"""Time within which a stopping service ends its jobs."""


class JobWorker:
    """Claims, runs and finishes jobs. ``module.JOBS`` has the handlers.

    If the database does not answer, a job's result is stored once it is back."""

    def __init__(self, queue: JobQueue, module: str, settings: JobSettings, counters: JobMetrics) -> None:
        self.id = uuid4().hex
        self._queue = queue
        self._module = module
        self._settings = settings
        self._counters = counters
        self._running: dict[str, JobProcess] = {}
        self._started: dict[str, float] = {}
        # After a common database outage other workers need one lease's time to renew theirs.
        self._sweep_at = time.monotonic() + settings.job_lease_seconds
        self._prune_at = 0.0
        self._renew_at = 0.0
        self._away = False
        self._thread = PeriodicThread(
            "jobs", self._turn, TICK_SECONDS, at_least=lambda: 1.0 if self._away else 0.0, last=self._end_all
        )

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.alive

    def wake(self) -> None:
        """Check the queue now."""
        self._thread.wake()

    def stop(self) -> None:
        """End all jobs of this worker; they are rerun if allowed."""
        self._thread.stop()
        self._thread.join(STOP_SECONDS + 2)

    # --- in the thread --------------------------------------------------------------------------------

    def _turn(self) -> None:
        try:
            self._tick()
        except SQLAlchemyError as error:
            self._database_away(error)
            return
        if self._away:
            log.info("database is back")
            self._away = False

    def _tick(self) -> None:
        now = time.monotonic()
        for running in [item for item in self._running.values() if item.ended.is_set()]:
            self._finish(running)
        if now >= self._renew_at:
            for running in list(self._running.values()):
                self._renew(running)
            self._renew_at = now + TICK_SECONDS
        if now >= self._sweep_at:
            abandoned = self._queue.requeue_expired_leases(rerun=self._settings.job_rerun_interrupted)
            for job_id, state in abandoned.items():
                log.warning("job was interrupted: its service is gone", job=job_id, state=state)
            self._sweep_at = now + self._settings.job_lease_seconds / 3
        if now >= self._prune_at:
            if removed := self._queue.prune(self._settings.job_keep_days):
                log.info("old jobs forgotten", number=removed)
            self._prune_at = now + PRUNE_SECONDS
        while len(self._running) < self._settings.job_parallel and self._start_next():
            pass
        for state, number in self._queue.counts().items():
            self._counters.live.labels(state).set(number)

    def _start_next(self) -> bool:
        job = self._queue.claim(self.id, self._settings.job_lease_seconds)
        if job is None:
            return False
        limits = JobLimits(self._settings.job_memory_mb, self._settings.job_seconds)
        self._running[job.id] = JobProcess(
            job, self._module, limits, ended=self.wake, secrets=self._settings.job_secrets
        )
        self._started[job.id] = time.monotonic()
        log.info("job started", job=job.id, use_case=job.use_case, step=job.step, attempt=job.attempts)
        return True

    def _renew(self, running: JobProcess) -> None:
        if running.ended.is_set():
            return
        job = running.job
        ours, cancel = self._queue.renew(job.id, self.id, self._settings.job_lease_seconds, **running.changes())
        if not ours:
            log.warning("job was taken from this service, which was not heard of in time", job=job.id)
        if cancel or not ours:
            running.cancel()

    def _finish(self, running: JobProcess) -> None:
        job, outcome = running.job, running.outcome
        if outcome.state == JobState.INTERRUPTED:
            self._queue.interrupt(job.id, self.id, rerun=self._settings.job_rerun_interrupted)
            stored = True
        else:
            stored = self._queue.finish(job.id, self.id, outcome, **running.output())
        del self._running[job.id]
        seconds = time.monotonic() - self._started.pop(job.id)
        log.info(
            "job ended" if stored else "job ended after it was taken from this service",
            job=job.id,
            use_case=job.use_case,
            step=job.step,
            state=outcome.state,
            seconds=round(seconds, 1),
            peak_mb=running.peak_mb,
            reason=(outcome.error or {}).get("problem"),
        )
        self._counters.count(job, outcome, seconds, running.peak_mb * 1_048_576)

    def _database_away(self, error: SQLAlchemyError) -> None:
        self._counters.database_failures.inc()
        # After the outage other replicas' leases have expired although the replicas are alive.
        self._sweep_at = time.monotonic() + self._settings.job_lease_seconds
        if not self._away:
            # Only the type: the message may contain values.
            log.error("database does not answer; jobs that run go on", error=type(error).__name__)
        self._away = True

    def _end_all(self) -> None:
        limit = time.monotonic() + STOP_SECONDS
        for running in self._running.values():
            if not running.ended.is_set():
                running.cancel()
        for running in self._running.values():
            running.ended.wait(max(0.1, limit - time.monotonic()))
        for job_id, running in self._running.items():
            try:
                outcome = running.outcome
                if outcome.state == JobState.SUCCEEDED:
                    self._queue.finish(job_id, self.id, outcome, **running.output())
                    state: JobState | None = JobState.SUCCEEDED
                else:
                    state = self._queue.interrupt(job_id, self.id, rerun=self._settings.job_rerun_interrupted)
                log.info("job ended with the service", job=job_id, state=state)
            except SQLAlchemyError as error:
                log.error(
                    "job could not be marked as interrupted; its lease runs out", job=job_id, error=type(error).__name__
                )
