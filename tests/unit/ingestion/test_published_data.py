"""When files last came from each source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.core.jobs.tables import Job, JobState
from services.ingestion.published_data import last_successes


def _job(number: int, **changed: Any) -> Job:
    return Job(
        **{
            "id": f"{number:032x}",
            "service": "ingestion",
            "use_case": "toy",
            "step": "ingest",
            "state": JobState.SUCCEEDED,
            "options": {"source": "auto"},
            "progress": (),
            "log_tail": "",
            "result": {"source": "official", "changed": True, "files": {"new": 2}},
            "error": None,
            "idempotency_key": f"key-{number}",
            "requested_by": "ada",
            "created_at": datetime(2026, 11, number, tzinfo=UTC),
            "started_at": None,
            "finished_at": datetime(2026, 11, number, 1, tzinfo=UTC),
            "attempts": 1,
        }
        | changed
    )


def test_each_source_has_its_newest_success() -> None:
    newest_first = [_job(3, result={"source": "simulator"}), _job(2), _job(1)]
    found = {entry["source"]: entry["finished"] for entry in last_successes(newest_first)}
    assert found == {"simulator": "2026-11-03T01:00:00+00:00", "official": "2026-11-02T01:00:00+00:00"}


def test_other_jobs_of_the_service_do_not_count() -> None:
    assert last_successes([_job(1, step="housekeeping", result={"source": "official"})]) == []
