"""A service's own job on the toy: files, DVC and a published state, in the job's processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.jobs.metrics import JobMetrics
from services.core.jobs.options import JobSettings
from services.core.jobs.queue import JobQueue
from services.core.jobs.tables import JobState
from services.core.jobs.worker import JobWorker
from services.core.paths import VigiePaths
from tests.integration.core.jobs.conftest import until


@pytest.fixture
def database(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("VIGIE_EXTRA_USE_CASES", "tests.toy")
    engine = make_engine(f"sqlite:///{VigiePaths(home).database}")
    upgrade(engine)
    yield engine
    engine.dispose()


def test_ingestion_publishes_raw_tables_and_says_whether_they_are_new(database: Engine, home: Path) -> None:
    queue = JobQueue(database, "ingestion")
    worker = JobWorker(queue, "services.ingestion.service", JobSettings(), JobMetrics(CollectorRegistry()))
    job, _ = queue.submit("toy", "ingest", {"source": "simulator", "fresh": False}, "the-key")
    worker.start()
    try:
        until(lambda: queue.get(job.id).state.final)
    finally:
        worker.stop()
    job = queue.get(job.id)
    assert job.state == JobState.SUCCEEDED, (job.error, job.log_tail)
    assert job.result is not None
    published = VigiePaths(home).data("toy") / "raw" / "manifest.json"
    rows = json.loads(published.read_text())["tables"]["deliveries"]["rows"]
    assert job.result["rows"] == {"deliveries": rows}
    assert job.result["rows_quarantined"] >= 0
    assert (job.result["source"], job.result["simulated"]) == ("simulator", True)
    assert (job.result["changed"], job.result["new_state"]) == (True, True)
    assert job.result["state"] == VigiePaths(home).current("toy").resolve().name
    assert "ingest: running" in job.progress
    assert '"event": "ingested"' in job.log_tail, "the log has what the stage itself printed"
    assert list(VigiePaths(home).scratch.iterdir()) == []
