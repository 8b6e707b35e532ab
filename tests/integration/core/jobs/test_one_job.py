"""One job in its processes: how it ends, its limits, and that nothing of it is left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from services.core.jobs.job_process import JobLimits, JobProcess
from services.core.jobs.tables import Job, JobResult, JobState
from tests.integration.core.jobs.conftest import PATIENCE, until
from tests.processes import at_work

Begin = Callable[..., JobProcess]


@pytest.fixture
def begin(home: Path) -> Iterator[Begin]:
    """Start the trial's job that its words describe."""
    begun: list[JobProcess] = []

    def begin(source: str, *, memory_mb: int = 400, seconds: float = 300.0) -> JobProcess:
        now = datetime.now(UTC)
        job = Job(
            id=f"{len(begun):032x}",
            service="ingestion",
            use_case="toy",
            step="ingest",
            state=JobState.RUNNING,
            options={"source": source},
            progress=(),
            log_tail="",
            result=None,
            error=None,
            idempotency_key="key",
            requested_by="jeanne",
            created_at=now,
            started_at=now,
            finished_at=None,
            attempts=1,
        )
        running = JobProcess(
            job, "tests.integration.core.jobs.trial_jobs", JobLimits(memory_mb, seconds), ended=lambda: None
        )
        begun.append(running)
        return running

    yield begin
    for running in begun:
        running.cancel()
        assert running.ended.wait(PATIENCE)
    until(lambda: not [p for p in psutil.Process().children(recursive=True) if _keeps(p)])


def _keeps(process: psutil.Process) -> bool:
    try:
        return "services.core.jobs" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _outcome(running: JobProcess) -> JobResult:
    assert running.ended.wait(PATIENCE)
    return running.outcome


def _gone(family: list[psutil.Process]) -> bool:
    return not any(at_work(process) for process in family)


def test_jobs_end_as_they_should_and_tell_how(begin: Begin) -> None:
    good, refused = begin("succeed"), begin("refuse")
    outcome = _outcome(good)
    assert (outcome.state, outcome.error) == (JobState.SUCCEEDED, None)
    assert outcome.result == {"word": "succeed", "use_case": "toy"}
    assert good.output()["progress"] == ["succeed: begun"]
    assert "printed by succeed" in good.output()["log_tail"]
    assert good.peak_mb > 10

    told = {"problem": "The drop folder is empty.", "expected": "a file", "action": "Put one there."}
    assert _outcome(refused) == JobResult(JobState.FAILED, error=told)


def test_a_job_knows_no_secret_that_it_has_no_use_for_and_comes_last_where_time_or_memory_are_short(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_SERVICE_TOKEN", "s" * 40)
    outcome = _outcome(begin("standing"))
    assert outcome.result == {"nice": os.nice(0) + 5, "oom_score_adj": 1_000, "token": None}


def test_a_job_that_breaks_tells_its_log_and_not_its_caller(begin: Begin) -> None:
    broken, dead = begin("break"), begin("die")
    outcome = _outcome(broken)
    assert outcome.state == JobState.FAILED
    assert "KeyError" in str(outcome.error)
    assert "what nobody should read" not in str(outcome.error)
    assert "Traceback" in broken.output()["log_tail"]
    outcome = _outcome(dead)
    assert outcome.state == JobState.FAILED
    assert "by force" in str(outcome.error)


def test_beyond_its_memory_or_time_a_job_is_ended(begin: Begin) -> None:
    bomb, slow = begin("bomb"), begin("hold 280", seconds=2.0)
    outcome = _outcome(bomb)
    assert (outcome.state, outcome.result) == (JobState.FAILED, None)
    assert "more than 400 MB" in str(outcome.error)
    assert 400 < bomb.peak_mb < 1_600
    outcome = _outcome(slow)
    assert outcome.state == JobState.FAILED
    assert "within 2 seconds" in str(outcome.error)


def test_cancelling_ends_the_whole_family_of_a_job(begin: Begin, tmp_path: Path) -> None:
    """A child in a session of its own, an orphan, and processes that ignore kind words."""
    (tmp_path / "family").mkdir()
    job = begin(f"family {tmp_path / 'family'}")
    until(lambda: len(list((tmp_path / "family").iterdir())) == 3)
    family = [psutil.Process(int(path.name)) for path in (tmp_path / "family").iterdir()]
    job.cancel()
    assert _outcome(job).state == JobState.CANCELLED
    job.cancel()  # too late, and no fault
    assert _gone(family)


def test_what_a_job_says_is_bounded(begin: Begin) -> None:
    job = begin("talk")
    assert _outcome(job).state == JobState.SUCCEEDED
    told = job.output()
    assert len(told["progress"]) == 200
    assert told["progress"][-1] == "line 2999"
    assert len(told["log_tail"]) <= 16_000
    assert "a zero \N{REPLACEMENT CHARACTER} byte" in told["log_tail"]
