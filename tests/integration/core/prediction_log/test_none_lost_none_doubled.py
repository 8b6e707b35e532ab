"""Every answered call is in the database exactly once, although the database stops under load and the
prediction process is killed in the middle of that."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, func, select

from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.prediction_log.records import decode_record
from services.core.prediction_log.store import store_records
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from services.core.settings import CHECKOUT
from tests.integration.core.prediction_log.conftest import Postgres
from tests.unit.core.prediction_log.conftest import call_line, report_line
from tests.unit.core.prediction_log.test_schema import differences

CALL = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}
CONNECTIONS = 4
CALLS_OF_A_PHASE = 150
"""Answered before, during and after the outage."""


@pytest.fixture
def engine(postgres: Postgres) -> Iterator[Engine]:
    made = make_engine(postgres.url)
    upgrade(made)
    with made.begin() as connection:
        connection.execute(PredictionRow.__table__.delete())  # type: ignore[attr-defined]
        connection.execute(OutcomeRow.__table__.delete())  # type: ignore[attr-defined]
    yield made
    made.dispose()


class Process:
    """A prediction process that can be killed and started again on the same port."""

    def __init__(self, home: Path, database: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._home = home
        self._environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "VIGIE_DATABASE_URL": database}
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.integration.core.prediction_log.serve_toy",
            str(self._home),
            str(self.port),
        ]
        with (self._home / "prediction.log").open("ab") as log:
            self._running = subprocess.Popen(command, env=self._environment, cwd=self._home, stdout=log, stderr=log)
        until = time.monotonic() + 180
        while time.monotonic() < until:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=1.0).status_code == 200:
                    return
            except httpx.HTTPError:
                assert self._running.poll() is None, (self._home / "prediction.log").read_text()[-3_000:]
                time.sleep(0.05)
        raise AssertionError((self._home / "prediction.log").read_text()[-3_000:])

    def end(self, how: signal.Signals) -> None:
        assert self._running is not None
        self._running.send_signal(how)
        self._running.wait(90)


@contextmanager
def prediction(home: Path, database: str) -> Iterator[Process]:
    home.mkdir()
    process = Process(home, database)
    process.start()
    try:
        yield process
    finally:
        process.end(signal.SIGKILL)


async def steady_load(port: int, stop: asyncio.Event, answered: list[str]) -> None:
    """Calls one after the other on each connection; ``answered`` gets the ids of those whose answer came."""

    async def caller(number: int) -> None:
        count = 0
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while not stop.is_set():
                count += 1
                id_ = f"c{number}-{count}"
                try:
                    answer = await client.post("/v1/toy/predict", json=CALL, headers={"X-Request-Id": id_})
                except httpx.HTTPError:
                    await asyncio.sleep(0.02)
                    continue
                assert answer.status_code == 200, answer.text
                answered.append(id_)
                await asyncio.sleep(0.01)  # a few hundred calls a second in all

    await asyncio.gather(*(caller(number) for number in range(CONNECTIONS)))


async def until(reached: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not reached within {seconds} s"
        await asyncio.sleep(0.05)


def stored(engine: Engine) -> Counter[str]:
    with engine.connect() as connection:
        return Counter(connection.execute(select(PredictionRow.request_id)).scalars())


def wait_for(engine: Engine, wanted: set[str], seconds: float) -> Counter[str]:
    until = time.monotonic() + seconds
    while wanted - (found := stored(engine)).keys() and time.monotonic() < until:
        time.sleep(0.2)
    return found


@pytest.mark.slow
def test_a_stopped_database_and_a_killed_process_lose_and_double_nothing(
    postgres: Postgres, engine: Engine, tmp_path: Path
) -> None:
    answered: list[str] = []

    async def more_calls() -> None:
        before = len(answered)
        await until(lambda: len(answered) >= before + CALLS_OF_A_PHASE)

    async def play(process: Process) -> None:
        stop = asyncio.Event()
        load = asyncio.create_task(steady_load(process.port, stop, answered))
        await more_calls()
        await asyncio.to_thread(postgres.stop)
        try:
            await more_calls()  # calls are answered while the database is away
            await asyncio.to_thread(process.end, signal.SIGKILL)
            await asyncio.to_thread(process.start)
            await more_calls()
        finally:
            await asyncio.to_thread(postgres.start)
        await more_calls()
        stop.set()
        await load

    with prediction(tmp_path / "home", postgres.url) as process:
        asyncio.run(play(process))
        found = wait_for(engine, set(answered), 180.0)
        assert set(answered) - found.keys() == set(), "answered, and not in the table"
        assert [id_ for id_, count in found.items() if count > 1] == [], "in the table more than once"
        metrics = httpx.get(f"http://127.0.0.1:{process.port}/metrics", timeout=60).text
        assert "vigie_journal_dropped_total 0.0" in metrics
    assert not list((tmp_path / "home").rglob("dead-letters/*"))


def test_the_migrated_schema_is_the_declared_one(engine: Engine) -> None:
    assert differences(engine) == []


def test_the_database_takes_records_once_and_names_the_poison(engine: Engine) -> None:
    lines = [
        call_line("r1", town="a\0b"),
        call_line("r2"),
        call_line("r2"),
        report_line({"late": True}, request_id="r2"),
    ]
    lines.append(call_line("r3").replace(b'"us":1200', b'"us":1' + b"0" * 30))
    lines.append(report_line({"late": True}, request_id="r2", at=9e8))
    poison = store_records(engine, [decode_record(line) for line in lines])
    assert [item.record.row["request_id"] for item in poison] == ["r3"]
    assert stored(engine) == Counter({"r1": 1, "r2": 1})
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(OutcomeRow)).scalar() == 2
