"""Twenty people at one dashboard process for an hour: how long a page takes to be drawn by the server, and how much
memory the process holds, minute by minute.

    python -m benchmarks.dashboard_people [--people 20] [--minutes 60] [--predictions 100000] [--folder FOLDER]

Each person holds a connection as a browser does, opens a page that the role may see, reads for a while, and goes on
to the next; every tenth time the page is loaded anew. No browser draws anything, so this is the server's part alone;
what a browser adds is in ``benchmarks.dashboard_pages``. Models that lie in FOLDER are used again."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import structlog
from sqlalchemy import insert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin, Subprotocol

from benchmarks import listing
from services.core.auth.principal import Role
from services.core.database.connection import make_engine
from services.core.prediction_log.tables import PredictionRow
from services.dashboard.pages import for_role
from tests.integration.dashboard.conftest import session_cookies
from tests.integration.dashboard.local_platform import CENTRE, Platform
from tests.integration.dashboard.operated_platform import USE_CASE, operated_platform

ROLES = (Role.DISPATCHER, Role.DISPATCHER, Role.OPERATOR, Role.DISPATCHER, Role.ADMIN)
READING_SECONDS = 12.0
"""Between two pages, on average: twenty people open 100 pages a minute."""
LOADED_ANEW = 10
MOST_SECONDS = 60.0


class Person:
    """One browser's connection to the dashboard."""

    def __init__(self, platform: Platform, role: Role, seed: int) -> None:
        self._address = platform.dashboard
        self._cookies = "; ".join(f"{item['name']}={item['value']}" for item in session_cookies(platform, role))
        self._pages = [entry.path for entry in for_role(role)]
        self._chance = random.Random(seed)
        self.taken: list[tuple[str, float]] = []
        self.failed = 0

    async def stay(self, until: float) -> None:
        while time.monotonic() < until:
            try:
                await self._session(until)
            except (OSError, WebSocketException):
                self.failed += 1

    async def _session(self, until: float) -> None:
        """One connection: a page that was loaded, and those that are gone to from it."""
        headers = {"Cookie": self._cookies}
        url = self._address.replace("http", "ws", 1) + "/_stcore/stream"
        async with connect(
            url,
            subprotocols=[Subprotocol("streamlit")],
            origin=Origin(self._address),
            additional_headers=headers,
            max_size=None,
            open_timeout=MOST_SECONDS,
            ping_interval=None,
        ) as line:
            for _ in range(LOADED_ANEW):
                if time.monotonic() >= until:
                    return
                await self._open(line, self._chance.choice(self._pages))
                await self._read(line, self._chance.expovariate(1 / READING_SECONDS))

    async def _open(self, line: ClientConnection, page: str) -> None:
        message = BackMsg()
        message.rerun_script.query_string = f"use_case={USE_CASE}"
        message.rerun_script.page_name = page
        message.rerun_script.context_info.timezone = "Europe/London"
        message.rerun_script.context_info.locale = "en-GB"
        message.rerun_script.context_info.url = f"{self._address}/{page}"
        began = time.perf_counter()
        await line.send(message.SerializeToString())
        try:
            async with asyncio.timeout(MOST_SECONDS):
                while not self._ended(await line.recv()):
                    pass
        except TimeoutError:
            self.failed += 1
        else:
            self.taken.append((page, time.perf_counter() - began))

    def _ended(self, content: str | bytes) -> bool:
        message = ForwardMsg()
        message.ParseFromString(content if isinstance(content, bytes) else content.encode())
        if message.WhichOneof("type") == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            self.failed += 1
        return message.WhichOneof("type") == "script_finished" and message.script_finished in {
            ForwardMsg.FINISHED_SUCCESSFULLY,
            ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
        }

    @staticmethod
    async def _read(line: ClientConnection, seconds: float) -> None:
        """Meanwhile the page may draw parts of itself anew."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await line.recv()


async def watched(process: psutil.Process, people: Sequence[Person], until: float) -> list[float]:
    """Megabytes that the process holds, each minute."""
    held = []
    while time.monotonic() < until:
        await asyncio.sleep(min(60.0, max(0.1, until - time.monotonic())))
        held.append(process.memory_info().rss / 1e6)
        opened = sum(len(person.taken) for person in people)
        sys.stderr.write(f"minute {len(held)}: {held[-1]:.0f} MB, {opened} pages, {process.num_threads()} threads\n")
    return held


async def stay(platform: Platform, people: int, minutes: float) -> None:
    everyone = [Person(platform, ROLES[number % len(ROLES)], number) for number in range(people)]
    until = time.monotonic() + minutes * 60
    port = int(platform.dashboard.rpartition(":")[2])
    process = next(psutil.Process(c.pid) for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port
                   and c.status == psutil.CONN_LISTEN)  # fmt: skip
    before = process.cpu_times()
    watching = asyncio.create_task(watched(process, everyone, until))
    await asyncio.gather(*(person.stay(until) for person in everyone))
    held = await watching
    spent = process.cpu_times()
    taken = [item for person in everyone for item in person.taken]
    out = sys.stdout.write
    out(f"{people} people, {minutes:.0f} minutes: {len(taken)} pages drawn, {sum(p.failed for p in everyone)} failed\n")
    out(f"processor: {(spent.user + spent.system - before.user - before.system) / (minutes * 60):.2f} of one core\n")
    for page in sorted({name for name, _ in taken}):
        seconds = sorted(value for name, value in taken if name == page)
        late = seconds[int(len(seconds) * 0.95)]
        out(f"{page:<16} median {statistics.median(seconds):.2f} s, p95 {late:.2f} s, worst {seconds[-1]:.2f} s\n")
    thirds = [statistics.median(held[i * len(held) // 3 : (i + 1) * len(held) // 3] or held) for i in range(3)]
    out("memory by thirds of the time, medians: " + ", ".join(f"{value:.0f} MB" for value in thirds) + "\n")


def fill(home: Path, predictions: int) -> None:
    """Calls of the centre that the dispatchers work in, of the last thirty days."""
    engine, chance = make_engine(f"sqlite:///{home / 'vigie.db'}"), random.Random(7)
    later = datetime.now(UTC) - listing.NOW
    for start in range(0, predictions, 5_000):
        rows = [
            listing.prediction(number, predictions, chance) for number in range(start, min(start + 5_000, predictions))
        ]
        with engine.begin() as connection:
            moved = [row | {"centre": CENTRE, "received_at": row["received_at"] + later} for row in rows]
            connection.execute(insert(PredictionRow), moved)
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--predictions", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=None)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        with operated_platform(home / "home", bundles=chosen.folder or home / "bundles") as platform:
            fill(home / "home", chosen.predictions)
            asyncio.run(stay(platform, chosen.people, chosen.minutes))


if __name__ == "__main__":
    main()
