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
from services.core.home import Home
from services.core.jobs.counters import Counters
from services.core.jobs.queue import Queue
from services.core.jobs.settings import JobSettings
from services.core.jobs.states import State
from services.core.jobs.worker import Worker
from tests.integration.jobs.conftest import until


@pytest.fixture
def database(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("VIGIE_EXTRA_USE_CASES", "tests.toy")
    engine = make_engine(f"sqlite:///{Home(home).database}")
    upgrade(engine)
    yield engine
    engine.dispose()


def test_ingestion_publishes_raw_tables_and_says_whether_they_are_new(database: Engine, home: Path) -> None:
    queue = Queue(database, "ingestion")
    worker = Worker(queue, "services.ingestion.jobs", JobSettings(), Counters(CollectorRegistry()))
    job, _ = queue.submit("toy", "ingest", {"source": "simulator", "fresh": False}, "the-key")
    worker.start()
    try:
        until(lambda: queue.get(job.id).state.final)
    finally:
        worker.stop()
    job = queue.get(job.id)
    assert job.state == State.SUCCEEDED, (job.error, job.log_tail)
    assert job.result is not None
    published = Home(home).data("toy") / "raw" / "manifest.json"
    rows = json.loads(published.read_text())["tables"]["deliveries"]["rows"]
    assert job.result["rows"] == {"deliveries": rows}
    assert job.result["rows_quarantined"] >= 0
    assert (job.result["source"], job.result["simulated"]) == ("simulator", True)
    assert (job.result["changed"], job.result["new_state"]) == (True, True)
    assert job.result["state"] == Home(home).current("toy").resolve().name
    assert "ingest: running" in job.progress
    assert '"event": "ingested"' in job.log_tail, "the log has what the stage itself printed"
    assert list(Home(home).scratch.iterdir()) == []
