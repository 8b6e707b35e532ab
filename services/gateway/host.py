"""The machine's own figures, from ``/proc``: the kernel shows them in a container as outside of it, without rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

PROC = Path("/proc")
MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""The order of the columns in ``/proc/stat`` (proc(5))."""


class Host(Collector):
    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc

    def collect(self) -> Iterator[Metric]:
        memory = self._memory()
        yield GaugeMetricFamily("vigie_host_memory_bytes", "The machine's memory.", memory["MemTotal"])
        yield GaugeMetricFamily(
            "vigie_host_memory_available_bytes", "What programs may still have of it.", memory["MemAvailable"]
        )
        load = float((self._proc / "loadavg").read_text().split()[0])
        yield GaugeMetricFamily("vigie_host_load1", "Tasks that run or wait, averaged over a minute.", load)
        yield GaugeMetricFamily("vigie_host_processors", "Processors that this process may use.", os.cpu_count() or 1)
        times = CounterMetricFamily("vigie_host_cpu_seconds", "Time of all processors by mode.", labels=("mode",))
        ticks = os.sysconf("SC_CLK_TCK")
        for mode, value in zip(MODES, (self._proc / "stat").read_text().split("\n", 1)[0].split()[1:], strict=False):
            times.add_metric((mode,), int(value) / ticks)
        yield times

    def _memory(self) -> dict[str, int]:
        """In bytes; the kernel says kilobytes."""
        lines = (self._proc / "meminfo").read_text().splitlines()
        return {name: int(rest.split()[0]) * 1_024 for name, rest in (line.split(":", 1) for line in lines)}
