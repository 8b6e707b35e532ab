"""Prometheus metrics of a stage service's jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.core.jobs.tables import Job, JobResult, JobState
from services.core.steps import ALL_USE_CASES, GLOBAL_STEPS

FINAL_STATES = tuple(state for state in JobState if state.final)
ResultCallback = Callable[[str, Mapping[str, Any]], None]
"""Called with the use case and the result of a succeeded job. Jobs run in separate processes whose counters are not
scraped, so counters are updated here from their results."""


class JobMetrics:
    """Counters, durations and peak memory of jobs by use case and step."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._callbacks: dict[str, ResultCallback] = {}
        self.ended = Counter(
            "vigie_jobs_ended", "Jobs by how they ended.", ("use_case", "step", "state"), registry=registry
        )
        self.seconds = Histogram(
            "vigie_job_seconds",
            "How long jobs ran.",
            ("use_case", "step"),
            buckets=(1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400),
            registry=registry,
        )
        self.peak = Gauge(
            "vigie_job_peak_memory_bytes",
            "Memory of the last job at its peak.",
            ("use_case", "step"),
            registry=registry,
        )
        self.live = Gauge("vigie_jobs", "Jobs that wait and run.", ("state",), registry=registry)
        self.succeeded = Gauge(
            "vigie_job_last_success_timestamp_seconds",
            "When a job last succeeded here.",
            ("use_case", "step"),
            registry=registry,
        )
        self.database_failures = Counter(
            "vigie_job_database_failures", "Times that the database did not answer the worker.", registry=registry
        )

    def expect(self, use_cases: Iterable[str], steps: Iterable[str]) -> None:
        """Initialize the series of these jobs with zero, so that the first failure is an increase."""
        names = tuple(use_cases)
        for step in steps:
            for use_case in (ALL_USE_CASES,) if step in GLOBAL_STEPS else names:
                self.seconds.labels(use_case, step)
                for state in FINAL_STATES:
                    self.ended.labels(use_case, step, state)

    def tell(self, step: str, callback: ResultCallback) -> None:
        """Register ``callback`` for the results of successful jobs of ``step``."""
        self._callbacks[step] = callback

    def count(self, job: Job, outcome: JobResult, seconds: float, peak_bytes: float) -> None:
        """Count a job that ended in this service."""
        self.ended.labels(job.use_case, job.step, outcome.state).inc()
        self.seconds.labels(job.use_case, job.step).observe(seconds)
        self.peak.labels(job.use_case, job.step).set(peak_bytes)
        if outcome.state is not JobState.SUCCEEDED:
            return
        self.succeeded.labels(job.use_case, job.step).set_to_current_time()
        if (callback := self._callbacks.get(job.step)) is not None:
            callback(job.use_case, outcome.result or {})
