"""Jobs with a chosen behaviour (``trial_jobs``): in a service's process, and without one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.settings import CHECKOUT, settings
from tests import postgres

TOKEN = "trial-" * 6
PATIENCE = 90.0
"""Seconds; machines that run many tests at once are slow."""


def until(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.03)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    if postgres.programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An up-to-date database of each kind."""
    if request.param == "sqlite":
        made = make_engine(f"sqlite:///{tmp_path}/database/vigie.db")
        upgrade(made)
        yield made
        made.dispose()
        return
    with postgres.database(request.getfixturevalue("server")) as address:
        made = make_engine(address, pool_size=20)
        upgrade(made)
        yield made
        made.dispose()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of this process and of the jobs that it starts."""
    monkeypatch.setenv("VIGIE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


class Service:
    """The trial's stage service as a process. ``settings`` are variables without their prefix."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self._settings = settings
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            self.port = int(listening.getsockname()[1])
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {TOKEN}", "X-Vigie-Service": "tests"},
            timeout=60,
            trust_env=False,
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        own = {
            "HOME": str(self.home),
            "SERVICE_TOKEN": TOKEN,
            "EXTRA_USE_CASES": "tests.toy",
            "JOB_LEASE_SECONDS": "2",
            "INGESTION_PORT": str(self.port),
            **self._settings,
        }
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        environment |= {f"VIGIE_{name}": value for name, value in own.items()}
        with (self.home / "service.log").open("ab") as log:
            command = [sys.executable, "-m", "tests.integration.core.jobs.trial_server"]
            self.process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "service.log").read_text()
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, kind: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(kind)
        self.process.wait(30)

    def post(self, source: str, use_case: str = "toy", key: str | None = None) -> dict[str, Any]:
        body = {"use_case": use_case, "step": "ingest", "options": {"source": source}}
        answer = self.client.post("/jobs", json={**body, "idempotency_key": key or uuid.uuid4().hex})
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def get(self, job: dict[str, Any], wait: float = 0) -> dict[str, Any]:
        answer = self.client.get(f"/jobs/{job['id']}", params={"wait": wait})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        until(lambda: self.get(job, wait=20)["state"] not in {"queued", "running"})
        return self.get(job)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts a service on a home of its own; it is killed at the end."""
    services: list[Service] = []
    upgrade(make_engine(f"sqlite:///{tmp_path}/database/vigie.db"))

    def start(**settings: str) -> Service:
        service = Service(tmp_path, **settings)
        services.append(service)
        service.start()
        return service

    yield start
    for service in services:
        service.client.close()
        if service.process is not None and service.process.poll() is None:
            service.end(signal.SIGKILL)
