"""Workers of two replicas on one database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from services.core.jobs.metrics import JobMetrics
from services.core.jobs.options import JobSettings
from services.core.jobs.queue import JobQueue
from services.core.jobs.tables import JobState
from services.core.jobs.worker import JobWorker
from services.drift.settings import DriftSettings
from tests.integration.core.jobs.conftest import until

MODULE = "tests.integration.core.jobs.trial_jobs"


@pytest.fixture
def workers(engine: Engine, home: Path) -> Iterator[list[JobWorker]]:
    settings = JobSettings(job_parallel=2, job_lease_seconds=20, job_memory_mb=800)
    made = [
        JobWorker(JobQueue(engine, "ingestion"), MODULE, settings, JobMetrics(CollectorRegistry())) for _ in range(2)
    ]
    yield made
    for worker in made:
        if worker.alive:
            worker.stop()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_jobs_of_a_lane_take_turns_in_order_and_use_cases_run_side_by_side(
    engine: Engine, workers: list[JobWorker], home: Path
) -> None:
    queue = JobQueue(engine, "ingestion")
    jobs = [
        queue.submit(use_case, "ingest", {"source": f"hold {seconds}"}, f"key-{use_case}-{number}")[0]
        for use_case, seconds, number in (("one", 0.1, 1), ("one", 0.1, 2), ("two", 3, 1), ("one", 0.1, 3))
    ]
    for worker in workers:
        worker.start()
    until(lambda: all(queue.get(job.id).state == JobState.SUCCEEDED for job in jobs))
    spans = {
        name: [float(line.split()[1]) for line in (home / "marks" / name).read_text().splitlines()]
        for name in ("one", "two")
    }
    assert spans["one"] == sorted(spans["one"]), "jobs of one lane ran at the same time"
    assert len(spans["one"]) == 6
    started = [queue.get(job.id).started_at for job in jobs]
    assert started[0] < started[1] < started[3]  # type: ignore[operator]
    assert started[2] < started[1]  # type: ignore[operator]
    assert all(queue.get(job.id).attempts == 1 for job in jobs)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_while_the_database_is_away_jobs_go_on_and_their_results_are_kept(
    engine: Engine, workers: list[JobWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, worker = JobQueue(engine, "ingestion"), workers[0]
    job, _ = queue.submit("one", "ingest", {"source": "hold 0.5"}, "key-away")
    away = threading.Event()
    for name in ("renew", "finish", "claim", "counts", "requeue_expired_leases"):
        real = getattr(JobQueue, name)

        def lost(self: JobQueue, *args: object, real: object = real, **more: object) -> object:
            if away.is_set():
                raise OperationalError("SELECT 1", {}, Exception("gone"))
            return real(self, *args, **more)  # type: ignore[operator]

        monkeypatch.setattr(JobQueue, name, lost)
    worker.start()
    until(lambda: worker._running)
    away.set()
    [running] = worker._running.values()
    assert running.ended.wait(60)
    assert worker.alive
    assert queue.get(job.id).state == JobState.RUNNING
    away.clear()
    until(lambda: queue.get(job.id).state == JobState.SUCCEEDED)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_service_that_stops_ends_its_jobs_at_once_and_leaves_them_to_the_next(
    engine: Engine, workers: list[JobWorker], tmp_path: Path
) -> None:
    (tmp_path / "family").mkdir()
    queue = JobQueue(engine, "ingestion")
    job, _ = queue.submit("one", "ingest", {"source": f"family {tmp_path / 'family'}"}, "key-stop")
    workers[0].start()
    until(lambda: len(list((tmp_path / "family").iterdir())) == 3)
    workers[0].stop()
    left = [path.name for path in (tmp_path / "family").iterdir() if psutil.pid_exists(int(path.name))]
    assert left == []
    assert (queue.get(job.id).state, queue.get(job.id).attempts) == (JobState.QUEUED, 1)
    workers[1].start()
    until(lambda: queue.get(job.id).attempts == 2)
    queue.cancel(job.id)
    until(lambda: queue.get(job.id).state == JobState.CANCELLED)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("settings", "knows"), [(JobSettings, False), (DriftSettings, True)])
def test_a_look_may_ask_the_gateway_in_the_platforms_name_and_no_other_job_may(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch, settings: type[JobSettings], knows: bool
) -> None:
    monkeypatch.setenv("VIGIE_SERVICE_TOKEN", "s" * 40)
    queue = JobQueue(engine, "ingestion")
    worker = JobWorker(queue, MODULE, settings(job_memory_mb=800), JobMetrics(CollectorRegistry()))
    job, _ = queue.submit("one", "ingest", {"source": "standing"}, "key-standing")
    worker.start()
    until(lambda: queue.get(job.id).state == JobState.SUCCEEDED)
    worker.stop()
    assert (queue.get(job.id).result or {})["token"] == ("s" * 40 if knows else None)
