"""What a process uses and may use, for Prometheus: its own figures, its container's (control group, version 2) and its
disk's. Each service tells its own, so nothing has to look into other containers with rights over the host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CGROUP = Path("/sys/fs/cgroup")
_LIMITED = (
    ("memory.max", "vigie_container_memory_limit_bytes", "Memory that the container may use."),
    ("pids.current", "vigie_container_processes", "Processes and threads in the container."),
    ("pids.max", "vigie_container_processes_limit", "Processes and threads that the container may have."),
)
_MICROSECONDS = (
    ("usage_usec", "vigie_container_cpu_seconds", "Processor time that the container used."),
    ("throttled_usec", "vigie_container_cpu_throttled_seconds", "Time that the container was held back."),
)


def add_resources(registry: CollectorRegistry, home: Path) -> None:
    """Register the figures of this process, its container and the file system that ``home`` is on."""
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(Container(CGROUP))
    registry.register(Disk(home))


class Container(Collector):
    """The container's own control group. A file that is not there (no container, an older kernel) and a limit that
    says ``max`` are left out: no figure is better than a wrong one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        for limit, name, text in _LIMITED:
            value = self._read(limit).strip()
            if value.isdigit():
                yield GaugeMetricFamily(name, text, int(value))
        used, file = self._read("memory.current").strip(), self._numbers("memory.stat").get("inactive_file")
        if used.isdigit() and file is not None:
            yield GaugeMetricFamily(
                "vigie_container_memory_working_set_bytes",
                "Memory that the container uses, without the file cache that can go at once.",
                max(0, int(used) - file),
            )
        times = self._numbers("cpu.stat")
        for key, name, text in _MICROSECONDS:
            if key in times:
                yield CounterMetricFamily(name, text, times[key] / 1e6)

    def _numbers(self, file: str) -> dict[str, int]:
        pairs = (line.split() for line in self._read(file).splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}

    def _read(self, file: str) -> str:
        try:
            return (self._folder / file).read_text(encoding="ascii")
        except OSError:
            return ""


class Disk(Collector):
    """The file system of ``folder``, or of the nearest folder above it that exists."""

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
