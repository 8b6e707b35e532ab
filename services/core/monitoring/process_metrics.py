"""Prometheus metrics that every service exports: process, container (cgroup), disk, and skipped use cases."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.core import use_case_registry as declared

CGROUP_ROOT = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60
"""Limits from this value on mean no limit (cgroup version 1)."""


def register_process_metrics(registry: CollectorRegistry, home: Path) -> None:
    """Register the metrics of this process, its container and the file system of ``home``."""
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(ContainerCollector(CGROUP_ROOT))
    registry.register(DiskCollector(home))


class ContainerCollector(Collector):
    """Metrics of the container's cgroup, version 2 or 1. Missing files (no container, another kernel) and absent limits
    yield no series rather than a wrong value."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        used = self._number("memory.current", "memory/memory.usage_in_bytes")
        cached = self._listed("inactive_file", "memory.stat") or self._listed(
            "total_inactive_file", "memory/memory.stat"
        )
        figures = (
            (
                "vigie_container_memory_working_set_bytes",
                "Memory that the container uses, without the file cache that can go at once.",
                None if used is None else max(0, used - (cached or 0)),
            ),
            (
                "vigie_container_memory_limit_bytes",
                "Memory that the container may use.",
                self._number("memory.max", "memory/memory.limit_in_bytes"),
            ),
            (
                "vigie_container_processes",
                "Processes and threads in the container.",
                self._number("pids.current", "pids/pids.current"),
            ),
            (
                "vigie_container_processes_limit",
                "Processes and threads that the container may have.",
                self._number("pids.max", "pids/pids.max"),
            ),
        )
        yield from (GaugeMetricFamily(name, text, value) for name, text, value in figures if value is not None)
        yield from self._times()

    def _times(self) -> Iterator[Metric]:
        """CPU times in seconds: version 2 counts microseconds, version 1 nanoseconds."""
        for name, text, new, old in (
            (
                "vigie_container_cpu_seconds",
                "Processor time that the container used.",
                self._listed("usage_usec", "cpu.stat"),
                self._number("cpuacct/cpuacct.usage"),
            ),
            (
                "vigie_container_cpu_throttled_seconds",
                "Time that the container was held back.",
                self._listed("throttled_usec", "cpu.stat"),
                self._listed("throttled_time", "cpu/cpu.stat"),
            ),
        ):
            if new is not None:
                yield CounterMetricFamily(name, text, new / 1e6)
            elif old is not None:
                yield CounterMetricFamily(name, text, old / 1e9)

    def _number(self, *files: str) -> int | None:
        """Read the number in the first existing file."""
        for file in files:
            text = self._read(file).strip()
            if text.isdigit() and int(text) < UNLIMITED:
                return int(text)
        return None

    def _listed(self, name: str, file: str) -> int | None:
        """Read the value of ``name`` in a key-value file."""
        pairs = (line.split() for line in self._read(file).splitlines())
        return next((int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == name), None)

    def _read(self, file: str) -> str:
        try:
            return (self._folder / file).read_text(encoding="ascii")
        except OSError:
            return ""


class DiskCollector(Collector):
    """Size of the file system of ``folder``, or of its nearest existing parent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        folder = next((path for path in (self._folder, *self._folder.parents) if path.exists()), Path("/"))
        found = os.statvfs(folder)
        yield GaugeMetricFamily(
            "vigie_disk_size_bytes", "Size of the file system of VIGIE_HOME.", found.f_blocks * found.f_frsize
        )
        yield GaugeMetricFamily(
            "vigie_disk_free_bytes", "What an unprivileged user may still write there.", found.f_bavail * found.f_frsize
        )


def register_skipped_gauge(metrics: CollectorRegistry, further: Iterable[str] = ()) -> tuple[str, ...]:
    """Export the number of skipped use cases and return their names.

    Reasons are only in the log and in ``./vigie doctor``: they contain paths, and health is public. ``further``: valid
    use cases that this service cannot run."""
    names = tuple(sorted({*further, *(skipped.name for skipped in declared.skipped())}))
    gauge = Gauge("vigie_skipped_use_cases", "Use cases that are broken and left out.", registry=metrics)
    gauge.set(len(names))
    return names
