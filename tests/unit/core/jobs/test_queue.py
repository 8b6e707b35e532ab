"""What the queue does with each state of a job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from services.core.database.connection import Base
from services.core.errors import ConflictError, NotFoundError
from services.core.jobs.queue import JobQueue
from services.core.jobs.tables import JobResult, JobRow, JobState, failed_result

LEASE = 15.0


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine, tables=[JobRow.__table__])  # type: ignore[list-item]
    yield engine
    engine.dispose()


@pytest.fixture
def queue(engine: Engine, clock: Clock) -> JobQueue:
    return JobQueue(engine, "training", clock=clock)


def _post(queue: JobQueue, key: str = "key", use_case: str = "one", step: str = "train") -> str:
    return queue.submit(use_case, step, {}, key)[0].id


def _running(queue: JobQueue, worker: str = "me") -> str:
    job = queue.claim(worker, LEASE)
    assert job is not None
    return job.id


def test_the_same_key_is_the_same_job(queue: JobQueue) -> None:
    first, new = queue.submit("one", "gate", {"force": False}, "key", requested_by="jeanne")
    again, newer = queue.submit("one", "gate", {"force": False}, "key", requested_by="paul")
    assert (first.id, new, newer, again.requested_by) == (again.id, True, False, "jeanne")


@pytest.mark.parametrize(
    ("use_case", "step", "options"),
    [("two", "gate", {"force": False}), ("one", "promote", {"force": False}), ("one", "gate", {"force": True})],
)
def test_a_key_that_stands_for_another_job_is_refused(
    queue: JobQueue, use_case: str, step: str, options: dict[str, object]
) -> None:
    queue.submit("one", "gate", {"force": False}, "key")
    with pytest.raises(ConflictError, match="another job"):
        queue.submit(use_case, step, options, "key")


def test_a_key_is_taken_for_all_services(engine: Engine, queue: JobQueue) -> None:
    queue.submit("one", "train", {}, "key")
    with pytest.raises(ConflictError):
        JobQueue(engine, "ingestion").submit("one", "train", {}, "key")


def test_one_job_of_a_lane_runs_and_the_others_wait_in_order(queue: JobQueue) -> None:
    first, second, third = (_post(queue, key) for key in ("a", "b", "c"))
    assert _running(queue) == first
    assert queue.claim("me", LEASE) is None
    queue.finish(first, "me", JobResult(JobState.SUCCEEDED, {}))
    assert _running(queue) == second
    queue.finish(second, "me", JobResult(JobState.SUCCEEDED, {}))
    assert _running(queue) == third


def test_use_cases_run_side_by_side(queue: JobQueue) -> None:
    one, two = _post(queue, "a", "one"), _post(queue, "b", "two")
    assert {_running(queue), _running(queue)} == {one, two}


def test_what_acts_on_the_registry_does_not_wait_for_a_training(queue: JobQueue) -> None:
    training = _post(queue, "a", step="train")
    assert _running(queue) == training
    _post(queue, "b", step="evaluate")
    back = _post(queue, "c", step="rollback")
    _post(queue, "d", step="promote")
    assert _running(queue) == back
    assert queue.claim("me", LEASE) is None


def test_a_service_sees_its_own_jobs_alone(engine: Engine, queue: JobQueue) -> None:
    job_id = _post(queue)
    other = JobQueue(engine, "ingestion")
    assert other.claim("me", LEASE) is None
    assert other.newest() == []
    with pytest.raises(NotFoundError):
        other.get(job_id)


def test_jobs_are_listed_newest_first_with_filters(queue: JobQueue) -> None:
    for number in range(4):
        _post(queue, f"key-{number}", ("one", "two")[number % 2])
    running = _running(queue)
    assert [job.idempotency_key for job in queue.newest(limit=3)] == ["key-3", "key-2", "key-1"]
    assert {job.use_case for job in queue.newest(use_case="two")} == {"two"}
    assert [job.id for job in queue.newest(state=JobState.RUNNING)] == [running]
    assert queue.counts() == {JobState.QUEUED: 3, JobState.RUNNING: 1}


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_by_its_worker(queue: JobQueue) -> None:
    running, waiting = _post(queue, "a"), _post(queue, "b")
    _running(queue)
    assert queue.cancel(waiting).state == JobState.CANCELLED
    assert queue.cancel(running).state == JobState.RUNNING
    assert queue.renew(running, "me", LEASE) == (True, True)
    queue.finish(running, "me", JobResult(JobState.CANCELLED, error={"problem": "It was cancelled."}))
    assert queue.cancel(running).state == JobState.CANCELLED


def test_what_a_job_says_is_there_while_it_runs(queue: JobQueue) -> None:
    job_id = _post(queue)
    _running(queue)
    queue.renew(job_id, "me", LEASE, progress=["train: running"], log_tail="epoch 1")
    job = queue.get(job_id)
    assert (job.progress, job.log_tail, job.state) == (("train: running",), "epoch 1", JobState.RUNNING)


@pytest.mark.parametrize(
    "outcome", [failed_result("It broke."), JobResult(JobState.CANCELLED, error={"problem": "Stopped."})]
)
def test_a_job_that_did_not_succeed_runs_again_under_its_id(queue: JobQueue, outcome: JobResult) -> None:
    job_id = _post(queue)
    _running(queue)
    queue.cancel(job_id)
    queue.finish(job_id, "me", outcome, progress=["old"], log_tail="old")
    job = queue.retry(job_id)
    assert (job.state, job.error, job.progress, job.log_tail, job.finished_at) == (JobState.QUEUED, None, (), "", None)
    assert _running(queue) == job_id
    assert queue.get(job_id).attempts == 2
    assert queue.renew(job_id, "me", LEASE) == (True, False)


def test_a_retried_job_goes_behind_those_that_wait(queue: JobQueue) -> None:
    again, waiting = _post(queue, "a"), _post(queue, "b")
    _running(queue)
    queue.finish(again, "me", failed_result("It broke."))
    queue.retry(again)
    assert _running(queue) == waiting


def test_retrying_what_succeeded_is_refused_and_what_is_under_way_stays(queue: JobQueue) -> None:
    job_id = _post(queue)
    assert queue.retry(job_id).state == JobState.QUEUED
    _running(queue)
    assert queue.retry(job_id).state == JobState.RUNNING
    queue.finish(job_id, "me", JobResult(JobState.SUCCEEDED, {}))
    with pytest.raises(ConflictError):
        queue.retry(job_id)


def test_a_lease_that_is_renewed_keeps_the_job(queue: JobQueue, clock: Clock) -> None:
    job_id = _post(queue)
    _running(queue)
    for _ in range(4):
        clock.later(seconds=10)
        queue.renew(job_id, "me", LEASE)
    assert queue.requeue_expired_leases(rerun=True) == {}
    assert queue.get(job_id).state == JobState.RUNNING


def test_an_abandoned_job_runs_again_once_and_then_waits_for_somebody(queue: JobQueue, clock: Clock) -> None:
    job_id = _post(queue)
    for state in (JobState.QUEUED, JobState.INTERRUPTED):
        _running(queue)
        clock.later(seconds=LEASE + 1)
        assert queue.requeue_expired_leases(rerun=True) == {job_id: state}
    assert queue.claim("me", LEASE) is None
    assert queue.get(job_id).error is not None
    queue.retry(job_id)
    _running(queue)
    clock.later(seconds=LEASE + 1)
    assert queue.requeue_expired_leases(rerun=True) == {job_id: JobState.QUEUED}


def test_an_abandoned_job_is_only_marked_where_reruns_are_off(queue: JobQueue, clock: Clock) -> None:
    job_id = _post(queue)
    _running(queue)
    clock.later(seconds=LEASE + 1)
    assert queue.requeue_expired_leases(rerun=False) == {job_id: JobState.INTERRUPTED}


def test_an_abandoned_job_that_was_to_be_cancelled_is(queue: JobQueue, clock: Clock) -> None:
    job_id = _post(queue)
    _running(queue)
    queue.cancel(job_id)
    clock.later(seconds=LEASE + 1)
    assert queue.requeue_expired_leases(rerun=True) == {job_id: JobState.CANCELLED}


def test_a_worker_that_lost_its_job_cannot_touch_it(queue: JobQueue, clock: Clock) -> None:
    job_id = _post(queue)
    _running(queue, "slow")
    clock.later(seconds=LEASE + 1)
    queue.requeue_expired_leases(rerun=True)
    _running(queue, "quick")
    assert queue.renew(job_id, "slow", LEASE)[0] is False
    assert queue.finish(job_id, "slow", JobResult(JobState.SUCCEEDED, {"from": "slow"})) is False
    assert queue.interrupt(job_id, "slow", rerun=True) is None
    assert queue.finish(job_id, "quick", JobResult(JobState.SUCCEEDED, {"from": "quick"}))
    assert queue.get(job_id).result == {"from": "quick"}


def test_old_jobs_are_forgotten_once_they_have_ended(queue: JobQueue, clock: Clock) -> None:
    old = _post(queue, "a", "one")
    _running(queue)
    queue.finish(old, "me", JobResult(JobState.SUCCEEDED, {}))
    waiting = _post(queue, "b", "two")
    clock.later(days=89)
    assert queue.prune(90) == 0
    clock.later(days=2)
    assert queue.prune(90) == 1
    assert [job.id for job in queue.newest()] == [waiting]
