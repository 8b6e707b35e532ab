"""What services count beside requests: jobs by their results, published rows, the container, the disk, the machine."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.core.jobs.metrics import JobMetrics
from services.core.jobs.tables import Job, JobResult, JobState
from services.core.monitoring.process_metrics import ContainerCollector, DiskCollector
from services.core.paths import VigiePaths
from services.core.steps import ALL_USE_CASES, jobs_of_service
from services.gateway.platform.dependency_probe import HostCollector
from services.ingestion.service import PublishedRowsCollector
from services.training.service import register_decision_metrics

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def job(step: str, use_case: str = "wine_quality") -> Job:
    return Job(
        id="j", service="training", use_case=use_case, step=step, state=JobState.RUNNING, options={}, progress=(),
        log_tail="", result=None, error=None, idempotency_key="k", requested_by="", created_at=NOW, started_at=NOW,
        finished_at=None, attempts=1,
    )  # fmt: skip


@pytest.fixture
def counters() -> JobMetrics:
    made = JobMetrics(CollectorRegistry())
    made.expect(("fire_response", "wine_quality"), jobs_of_service("training"))
    register_decision_metrics(made)
    return made


def value(counters: JobMetrics, name: str, **labels: str) -> float | None:
    return counters.registry.get_sample_value(name, labels)


def test_jobs_are_counted_by_how_they_ended_and_how_long_they_ran(counters: JobMetrics) -> None:
    counters.count(job("train"), JobResult(JobState.FAILED), 42.0, 1e9)
    ended = {"use_case": "wine_quality", "step": "train"}
    assert value(counters, "vigie_jobs_ended_total", **ended, state="failed") == 1
    assert value(counters, "vigie_jobs_ended_total", **ended, state="succeeded") == 0
    assert value(counters, "vigie_job_seconds_sum", **ended) == 42.0
    assert value(counters, "vigie_job_peak_memory_bytes", **ended) == 1e9
    assert value(counters, "vigie_job_last_success_timestamp_seconds", **ended) is None


def test_every_job_that_can_fail_has_a_series_from_the_start(counters: JobMetrics) -> None:
    """A counter that first appears with 1 is no increase to Prometheus, and the alert would miss it."""
    for use_case in ("fire_response", "wine_quality"):
        for step in jobs_of_service("training"):
            assert value(counters, "vigie_jobs_ended_total", use_case=use_case, step=step, state="failed") == 0


def test_a_job_for_all_use_cases_has_one_series() -> None:
    counters = JobMetrics(CollectorRegistry())
    counters.expect(("fire_response", "wine_quality"), jobs_of_service("ingestion"))
    assert value(counters, "vigie_jobs_ended_total", use_case=ALL_USE_CASES, step="housekeeping", state="failed") == 0
    assert (
        value(counters, "vigie_jobs_ended_total", use_case="wine_quality", step="housekeeping", state="failed") is None
    )


@pytest.mark.parametrize("decision", ["promote", "refuse", "unchanged"])
def test_the_gates_decisions_are_counted_from_the_results_of_its_jobs(counters: JobMetrics, decision: str) -> None:
    counters.count(job("gate"), JobResult(JobState.SUCCEEDED, {"decision": decision}), 1.0, 0)
    assert value(counters, "vigie_gate_decisions_total", use_case="wine_quality", decision=decision) == 1


@pytest.mark.parametrize(
    ("result", "way", "number"),
    [
        ({"promoted": True, "by_hand": False}, "gate", 1),
        ({"promoted": True, "by_hand": True}, "by_hand", 1),
        ({"promoted": False, "by_hand": False}, "gate", 0),
    ],
)
def test_promotions_are_counted_where_the_champion_changed(
    counters: JobMetrics, result: dict[str, Any], way: str, number: int
) -> None:
    counters.count(job("promote"), JobResult(JobState.SUCCEEDED, result), 1.0, 0)
    assert value(counters, "vigie_promotions_total", use_case="wine_quality", way=way) == number


def test_what_failed_decided_nothing(counters: JobMetrics) -> None:
    counters.count(job("rollback"), JobResult(JobState.FAILED), 1.0, 0)
    assert value(counters, "vigie_rollbacks_total", use_case="wine_quality") == 0
    counters.count(job("rollback"), JobResult(JobState.SUCCEEDED, {}), 1.0, 0)
    assert value(counters, "vigie_rollbacks_total", use_case="wine_quality") == 1


def test_rows_are_read_from_what_is_published_so_that_a_restart_forgets_nothing(tmp_path: Path) -> None:
    home = VigiePaths(tmp_path)
    raw = tmp_path / "states" / "wine_quality" / "run" / "data" / "wine_quality" / "raw"
    raw.mkdir(parents=True)
    (raw / "manifest.json").write_text(json.dumps({"tables": {"wines": {"rows": 6_497}}, "quarantined": 3}))
    home.current("wine_quality").parent.mkdir()
    home.current("wine_quality").symlink_to("../states/wine_quality/run")
    registry = CollectorRegistry()
    registry.register(PublishedRowsCollector(home, ("fire_response", "wine_quality")))
    rows = {"use_case": "wine_quality", "table": "wines"}
    assert registry.get_sample_value("vigie_ingested_rows", rows) == 6_497
    assert registry.get_sample_value("vigie_quarantined_rows", {"use_case": "wine_quality"}) == 3
    assert registry.get_sample_value("vigie_quarantined_rows", {"use_case": "fire_response"}) is None


# --- resources ------------------------------------------------------------------------------------------------


@pytest.fixture
def group(tmp_path: Path) -> Path:
    files = {
        "memory.current": "1000",
        "memory.max": "4000",
        "memory.stat": "anon 500\nfile 450\ninactive_file 400\n",
        "pids.current": "12",
        "pids.max": "512",
        "cpu.stat": "usage_usec 2500000\nuser_usec 1\nthrottled_usec 500000\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    return tmp_path


def _told(collector: Any) -> dict[str, float]:
    return {sample.name: sample.value for family in collector.collect() for sample in family.samples}


def test_a_container_tells_its_own_memory_processes_and_time(group: Path) -> None:
    assert _told(ContainerCollector(group)) == {
        "vigie_container_memory_working_set_bytes": 600,
        "vigie_container_memory_limit_bytes": 4_000,
        "vigie_container_processes": 12,
        "vigie_container_processes_limit": 512,
        "vigie_container_cpu_seconds_total": 2.5,
        "vigie_container_cpu_throttled_seconds_total": 0.5,
    }


def test_a_container_of_an_older_kernel_tells_the_same(tmp_path: Path) -> None:
    files = {
        "memory/memory.usage_in_bytes": "1000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 400\n",
        "pids/pids.current": "12",
        "pids/pids.max": "512",
        "cpuacct/cpuacct.usage": "2500000000",
        "cpu/cpu.stat": "nr_periods 1\nthrottled_time 500000000\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert _told(ContainerCollector(tmp_path)) == {
        "vigie_container_memory_working_set_bytes": 600,
        "vigie_container_processes": 12,
        "vigie_container_processes_limit": 512,
        "vigie_container_cpu_seconds_total": 2.5,
        "vigie_container_cpu_throttled_seconds_total": 0.5,
    }


def test_what_has_no_limit_tells_none(group: Path) -> None:
    (group / "memory.max").write_text("max\n")
    assert "vigie_container_memory_limit_bytes" not in _told(ContainerCollector(group))


def test_outside_of_a_container_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert _told(ContainerCollector(tmp_path / "nothing")) == {}


def test_a_disk_is_told_before_its_folder_is_there(tmp_path: Path) -> None:
    told, real = _told(DiskCollector(tmp_path / "not" / "yet")), shutil.disk_usage(tmp_path)
    assert told["vigie_disk_size_bytes"] == real.total
    assert told["vigie_disk_free_bytes"] == pytest.approx(real.free, rel=0.05)


def test_the_machine_is_told_from_proc(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 250 kB\nHugePages_Total: 0\n")
    (tmp_path / "loadavg").write_text("1.25 0.5 0.1 1/200 4711\n")
    (tmp_path / "stat").write_text("cpu  100 0 50 800 10 0 5 0 0 0\ncpu0 1 1 1 1\n")
    told = _told(HostCollector(tmp_path))
    assert told["vigie_host_memory_bytes"] == 1_024_000
    assert told["vigie_host_memory_available_bytes"] == 256_000
    assert told["vigie_host_load1"] == 1.25
    assert told["vigie_host_cpu_seconds_total"] >= 0


def test_this_machine_is_told() -> None:
    assert _told(HostCollector())["vigie_host_memory_bytes"] > 1e8
