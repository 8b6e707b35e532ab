"""What one connection may cost, how many there may be, and that a service ends in time whatever its callers do."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from services.core.settings import CHECKOUT
from services.core.web import app_factory
from services.core.web.app_factory import create_service_app
from services.core.web.connection import ConnectionLimits
from tests.servers import running

LIMITS = ConnectionLimits(connections=30, head_seconds=0.3, body_seconds=0.4, stalled_seconds=0.3)
HEAD = b"POST /body HTTP/1.1\r\nHost: here\r\nContent-Type: text/plain\r\n"
HALF = HEAD + b"Content-Length: 100\r\n\r\n{"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = b"GET /hello HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
STOPPED_WHILE_CALLED = """
import asyncio, sys, time
from contextlib import asynccontextmanager
from starlette.requests import Request
from services.core.web import server
from services.core.web.app_factory import create_service_app

@asynccontextmanager
async def lifespan(app):
    yield
    await asyncio.to_thread(time.sleep, float(sys.argv[2]))

app = create_service_app(service="trial", title="Trial", docs="/trial/docs", lifespan=lifespan)

@app.post("/body")
async def body(request: Request) -> int:
    return len(await request.body())

class Told(server.ServiceServer):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

server.STOP_SECONDS, server.ServiceServer = float(sys.argv[1]), Told
server.run_server(server.server_config(app, host="127.0.0.1", port=0))
"""


class Service:
    """A service with tight limits, and what happened in it."""

    def __init__(self) -> None:
        self.gone = threading.Event()
        self.begun = threading.Event()
        self.app = create_service_app(service="trial", title="Trial", docs="/trial/docs")
        self._add_routes(self.app)

    def _add_routes(self, app: FastAPI) -> None:
        @app.get("/hello")
        async def hello(request: Request) -> dict[str, int | str]:
            return {"headers": len(request.headers), "key": request.headers.get("x-api-key", "")}

        @app.post("/body")
        async def body(request: Request) -> dict[str, int]:
            return {"bytes": len(await request.body()), "headers": len(request.headers)}

        @app.get("/wait")
        async def wait(request: Request) -> str:
            self.begun.set()
            await request.scope["caller_gone"].wait()
            self.gone.set()
            return "said all the same"

        @app.get("/large")
        async def large() -> PlainTextResponse:
            return PlainTextResponse("x" * 50_000_000)


@pytest.fixture(scope="module")
def service() -> Service:
    return Service()


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[tuple[str, int]]:
    with running(service.app, limits=LIMITS) as url:
        place = urlsplit(url)
        yield str(place.hostname), int(place.port or 0)


def send(address: tuple[str, int], data: bytes) -> socket.socket:
    connection = socket.create_connection(address, timeout=20)
    connection.sendall(data)
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the service closes the connection."""
    pieces: list[bytes] = []
    with connection:
        while True:
            try:
                piece = connection.recv(65_536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)


def answer(address: tuple[str, int], data: bytes) -> bytes:
    return rest(send(address, data))


@pytest.mark.parametrize(
    "part",
    [HEAD[:25], HEAD, HALF, HEAD + CHUNKED + b"5\r\nab"],
    ids=["part of the head", "the head", "half the body", "half a chunk"],
)
def test_a_request_that_never_gets_whole_is_cut_off_with_408(address: tuple[str, int], part: bytes) -> None:
    told = answer(address, part)
    assert told.startswith(b"HTTP/1.1 408 ")
    [fault] = json.loads(told.partition(b"\r\n\r\n")[2])["errors"]
    assert fault["type"] == "request_timeout"


def test_a_request_that_trickles_is_cut_off_all_the_same(address: tuple[str, int]) -> None:
    began = time.monotonic()
    with send(address, HALF) as connection:
        connection.settimeout(0.05)
        told = b""
        while not told and time.monotonic() - began < 10:
            connection.sendall(b" ")
            try:
                told = connection.recv(65_536)
            except TimeoutError:
                continue
    assert told.startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_is_closed(address: tuple[str, int]) -> None:
    assert answer(address, b"") == b""


def test_idle_connections_stay_open_for_longer_than_the_limits_of_requests(address: tuple[str, int]) -> None:
    with send(address, GOOD.replace(b"Connection: close\r\n", b"")) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.settimeout(3 * LIMITS.head_seconds)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(20)
        connection.sendall(GOOD)
        assert rest(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        b"X-Large: " + b"x" * 2_000_000,
        b"".join(b"X-%d: x\r\n" % number for number in range(20_000)),
        b"X-Large: " + b"x" * 70_000 + b"\r\n\r\n",
        b"".join(b"X-%d: x\r\n" % number for number in range(150)) + b"\r\n",
    ],
    ids=["2 MB", "20,000", "70 KB, whole", "150, whole"],
)
def test_headers_are_limited_in_size_and_number(address: tuple[str, int], head: bytes) -> None:
    connection = socket.create_connection(address, timeout=20)
    try:
        connection.sendall(b"GET /hello HTTP/1.1\r\nHost: here\r\n" + head)
    except OSError:  # cut off while it still sends
        connection.close()
        return
    told = rest(connection)
    assert told == b"" or told.startswith(b"HTTP/1.1 431 ")


def test_a_request_line_is_limited(address: tuple[str, int]) -> None:
    assert answer(address, b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n").startswith(b"HTTP/1.1 431 ")


def test_the_edges_headers_and_its_own_fit(address: tuple[str, int]) -> None:
    told = answer(address, GOOD[:-2] + b"X-Large: " + b"x" * 40_000 + b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 200")


def test_bodies_in_memory_are_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_factory, "OPEN_BODIES", 3)
    with running(service.app, limits=ConnectionLimits()) as url:
        place = urlsplit(url)
        address = str(place.hostname), int(place.port or 0)
        held = [send(address, HALF) for _ in range(3)]
        whole = HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nab"
        until = time.monotonic() + 10
        while not (told := answer(address, whole)).startswith(b"HTTP/1.1 503"):
            assert time.monotonic() < until
        assert b"retry-after: 1\r\n" in told
        assert answer(address, GOOD).startswith(b"HTTP/1.1 200")  # it has no body
        for connection in held:
            connection.close()
        while not answer(address, whole).startswith(b"HTTP/1.1 200"):
            assert time.monotonic() < until


def test_what_comes_after_the_body_is_no_header(address: tuple[str, int]) -> None:
    body = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n0\r\nX-Role: admin\r\n\r\n"
    told = answer(address, HEAD + body)
    assert json.loads(told.partition(b"\r\n\r\n")[2]) == {"bytes": 2, "headers": 4}


@pytest.mark.parametrize("written", [b"vig_key", b"   vig_key", b"vig_key ", b"vig_key\t", b" \tvig_key \t "])
def test_blanks_around_a_headers_value_are_no_part_of_it(address: tuple[str, int], written: bytes) -> None:
    told = answer(address, GOOD[:-2] + b"X-API-Key:" + written + b"\r\n\r\n")
    assert json.loads(told.partition(b"\r\n\r\n")[2])["key"] == "vig_key"


def test_half_sent_requests_beyond_the_limit_give_way_to_calls(service: Service) -> None:
    with running(service.app, limits=ConnectionLimits(connections=10)) as url:
        place = urlsplit(url)
        held = [send((str(place.hostname), int(place.port or 0)), HALF) for _ in range(15)]
        with send((str(place.hostname), int(place.port or 0)), GOOD) as call:
            assert call.recv(65_536).startswith(b"HTTP/1.1 200")
        cut: list[socket.socket] = []
        until = time.monotonic() + 10
        while len(cut) < 5 and time.monotonic() < until:
            cut, _, _ = select.select(held, [], [], 0.1)
        assert all(rest(connection).startswith(b"HTTP/1.1 408") for connection in cut)
        assert 5 <= len(cut) <= 6
        for connection in held:
            connection.close()


def test_a_caller_that_ends_its_sending_half_gets_its_answer(address: tuple[str, int]) -> None:
    connection = send(address, GOOD.replace(b"/hello", b"/wait").replace(b"Connection: close\r\n", b""))
    connection.shutdown(socket.SHUT_WR)
    assert b"said all the same" in rest(connection)


def test_a_caller_that_ends_its_sending_half_too_early_is_let_go(address: tuple[str, int]) -> None:
    connection = send(address, HALF)
    connection.shutdown(socket.SHUT_WR)
    assert b" 200 " not in rest(connection)


def test_work_learns_that_its_caller_is_gone(address: tuple[str, int], service: Service) -> None:
    service.begun.clear()
    service.gone.clear()
    connection = send(address, GOOD.replace(b"/hello", b"/wait"))
    assert service.begun.wait(20)
    assert not service.gone.is_set()
    connection.close()
    assert service.gone.wait(20)


def test_a_caller_that_takes_nothing_of_its_answer_is_cut_off(address: tuple[str, int]) -> None:
    connection = send(address, GOOD.replace(b"/hello", b"/large"))
    time.sleep(3 * LIMITS.stalled_seconds)  # nothing is read meanwhile: that is the case
    assert len(rest(connection)) < 50_000_000


@pytest.mark.parametrize(
    ("request_", "stop_seconds", "shutdown_seconds"), [(HALF, 60, 0), (b"", 1, 60)], ids=["half a request", "a thread"]
)
def test_a_service_ends_in_time_whatever_holds_it(request_: bytes, stop_seconds: int, shutdown_seconds: int) -> None:
    """A half-sent request is cut off; a thread, which nothing can cancel, does not hold the process."""
    command = [sys.executable, "-c", STOPPED_WHILE_CALLED, str(stop_seconds), str(shutdown_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as service:
        assert service.stdout is not None
        while not (line := service.stdout.readline()).strip().isdigit():
            assert line, "the service did not start"
        address = ("127.0.0.1", int(line))
        with send(address, request_):
            assert answer(address, GOOD).startswith(b"HTTP/1.1 404")  # the first one has been read by now
            service.send_signal(signal.SIGTERM)
            try:
                service.wait(10)
            finally:
                service.kill()


def test_calls_are_answered_by_a_service_that_holds_as_many_connections_as_it_may(address: tuple[str, int]) -> None:
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: answer(address, GOOD), range(200)))
    assert all(each.startswith(b"HTTP/1.1 200") for each in told)
