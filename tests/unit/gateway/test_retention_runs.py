"""Regular jobs on platforms without Airflow: retention, which is seen to run on all, and drift."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert
from sqlalchemy.orm import Session
from starlette.applications import Starlette

from services.core import use_case_registry
from services.core.errors import UnavailableError
from services.core.jobs.tables import JobRow, JobState, last_retention
from services.gateway import app
from services.gateway.container import GatewayContainer, MaintenanceTask
from services.gateway.monitoring import routes
from services.gateway.monitoring.routes import JobTimer
from services.gateway.service_client import JobClient
from tests.servers import running

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)


class Stages:
    """Stage services that do not answer the first time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.silent = 1

    async def call(self, step: str, request: Any) -> dict[str, Any]:
        if self.silent:
            self.silent -= 1
            raise UnavailableError("Nobody is there.")
        self.asked.append((step, request.json))
        return {}


def test_the_timer_starts_one_real_housekeeping_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    monkeypatch.setattr(routes, "TIMER_SECONDS", 0.001)

    async def a_while() -> None:
        options = {"dry_run": False}
        timer = JobTimer(cast("JobClient", stages), "housekeeping", 24.0, use_cases=("all",), options=options)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await timer.run()

    asyncio.run(a_while())
    assert [step for step, _ in stages.asked] == ["housekeeping"]
    body = stages.asked[0][1]
    assert (body["use_case"], body["options"]) == ("all", {"dry_run": False})
    assert body["idempotency_key"].startswith("housekeeping-timer:all:")


@pytest.mark.parametrize(
    ("airflow", "hours", "started"), [(None, 24.0, True), (None, 0.0, False), (object(), 24.0, False)]
)
def test_a_gateway_without_airflow_has_the_timer(
    gateway: GatewayContainer, monkeypatch: pytest.MonkeyPatch, airflow: object, hours: float, started: bool
) -> None:
    timers: list[str] = []

    class Timer:
        def __init__(self, _: object, step: str, *__: object, **___: object) -> None:
            timers.append(step)

        async def run(self) -> None:
            """Do nothing."""

    class Runner:
        stages = None

        def __init__(self) -> None:
            self.airflow = airflow

        async def run(self) -> None:
            """Do nothing."""

    class Caretaker:
        async def wait_until_prepared(self) -> None:
            """Be ready."""

    changed = {"gateway_first_training": False, "gateway_housekeeping_hours": hours}
    gateway = replace(gateway, settings=gateway.settings.model_copy(update=changed))
    monkeypatch.setattr(app, "JobTimer", Timer)
    asyncio.run(app._run_background_tasks(cast("MaintenanceTask", Caretaker()), gateway, cast("Any", Runner())))
    assert ("housekeeping" in timers) == started


def test_the_first_drift_job_waits_for_the_registry(gateway: GatewayContainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a first start it is not up yet: a job would fail, and be the first that an operator sees."""
    monkeypatch.setattr(routes, "TIMER_SECONDS", 0.001)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    changed = {
        "gateway_first_training": False,
        "gateway_housekeeping_hours": 0.0,
        "gateway_monitor_hours": 6.0,
        "registry_url": f"http://127.0.0.1:{port}",
        "drift_url": "http://127.0.0.1:9",
    }
    gateway = replace(gateway, settings=gateway.settings.model_copy(update=changed))
    stages = Stages()
    stages.silent = 0

    class Runner:
        def __init__(self) -> None:
            self.airflow, self.stages = None, stages

        async def run(self) -> None:
            """Do nothing."""

    class Caretaker:
        async def wait_until_prepared(self) -> None:
            """Be ready."""

    async def run_until(enough: Callable[[], bool], seconds: float) -> None:
        work = app._run_background_tasks(cast("MaintenanceTask", Caretaker()), gateway, cast("Any", Runner()))
        task = asyncio.create_task(work)
        until = asyncio.get_running_loop().time() + seconds
        while not enough() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - the timer has no event
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    names = use_case_registry.names()
    asyncio.run(run_until(lambda: bool(stages.asked), 0.5))
    assert stages.asked == []
    registry = Starlette()  # without any model: every path is 404
    with running(registry, port):
        asyncio.run(run_until(lambda: len(stages.asked) == len(names), 20))
    assert [(step, body["use_case"]) for step, body in stages.asked] == [("monitor", name) for name in names]


def housekeeping(gateway: GatewayContainer, number: int, finished: datetime, *, dry: bool, state: JobState) -> None:
    row = {
        "id": f"{number:032x}",
        "service": "ingestion",
        "use_case": "all",
        "step": "housekeeping",
        "options": {"dry_run": dry, "keep_days": 30},
        "idempotency_key": str(number),
        "requested_by": "",
        "created_at": finished,
        "finished_at": finished,
        "state": state,
        "progress": [],
        "log_tail": "",
        "attempts": 1,
        "lane": "housekeeping",
        "asked_by": "",
        "queued_at": finished,
    }
    with gateway.engine.begin() as connection:
        connection.execute(insert(JobRow).values(**row))


def test_what_counts_is_the_last_success_that_was_no_dry_run(gateway: GatewayContainer, client: TestClient) -> None:
    with Session(gateway.engine) as session:
        assert last_retention(session) is None
    MaintenanceTask(gateway).run_once()
    set_up = gateway.counters.registry.get_sample_value("vigie_retention_last_success_timestamp_seconds")
    assert set_up, "before the first time the platform's own age counts"
    housekeeping(gateway, 1, NOW, dry=False, state=JobState.SUCCEEDED)
    housekeeping(gateway, 2, NOW + timedelta(days=1), dry=True, state=JobState.SUCCEEDED)
    housekeeping(gateway, 3, NOW + timedelta(days=2), dry=False, state=JobState.FAILED)
    with Session(gateway.engine) as session:
        assert last_retention(session) == NOW
    MaintenanceTask(gateway).run_once()
    seen = gateway.counters.registry.get_sample_value("vigie_retention_last_success_timestamp_seconds")
    assert seen == NOW.timestamp()
