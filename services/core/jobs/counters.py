"""What a stage service counts about its jobs, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Counters:
    def __init__(self, registry: CollectorRegistry) -> None:
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
        self.database_failures = Counter(
            "vigie_job_database_failures", "Times that the database did not answer the worker.", registry=registry
        )
