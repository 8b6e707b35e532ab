"""The queue's rules where many ask at once, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, update
from sqlalchemy.exc import IntegrityError

from services.core.database.connection import Base
from services.core.database.migrate import import_table_modules
from services.core.jobs.queue import JobQueue
from services.core.jobs.tables import JobRow, JobState

MANY = 12


def test_the_migrated_table_is_the_declared_one(engine: Engine) -> None:
    import_table_modules()
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or name == "jobs"},
        )
        found = compare_metadata(context, Base.metadata)
    assert [change for change in found if "jobs" in str(change)] == []


def test_the_same_key_posted_by_many_at_once_is_one_job(engine: Engine) -> None:
    queue, together = JobQueue(engine, "training"), Barrier(MANY)

    def post(_: int) -> tuple[str, bool]:
        together.wait()
        job, new = queue.submit("one", "train", {}, "the-one-key")
        return job.id, new

    with ThreadPoolExecutor(MANY) as threads:
        answers = list(threads.map(post, range(MANY)))
    assert len({job_id for job_id, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1
    assert len(queue.newest()) == 1


def test_many_workers_start_each_job_once_one_per_lane_and_in_order(engine: Engine) -> None:
    queue = JobQueue(engine, "training")
    order = {
        use_case: [queue.submit(use_case, "train", {}, f"{use_case}-{number}")[0].id for number in range(3)]
        for use_case in ("one", "two")
    }
    done: dict[str, list[str]] = {"one": [], "two": []}
    together = Barrier(MANY)

    def claim(worker: int) -> str | None:
        together.wait()
        job = queue.claim(f"worker-{worker}", 60)
        return None if job is None else job.id

    with ThreadPoolExecutor(MANY) as threads:
        for _ in range(3):
            claimed = [job_id for job_id in threads.map(claim, range(MANY)) if job_id is not None]
            jobs = [queue.get(job_id) for job_id in claimed]
            assert sorted(job.use_case for job in jobs) == ["one", "two"]
            assert {job.attempts for job in jobs} == {1}
            for job in jobs:
                done[job.use_case].append(job.id)
            with engine.begin() as connection:
                connection.execute(
                    update(JobRow).where(JobRow.id.in_(claimed)).values(state=JobState.SUCCEEDED, worker=None)
                )
    assert done == order


def test_the_database_itself_refuses_a_second_running_job_of_a_lane(engine: Engine) -> None:
    queue = JobQueue(engine, "training")
    for number in range(2):
        queue.submit("one", "train", {}, f"key-{number:08d}")
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(update(JobRow).values(state=JobState.RUNNING))
