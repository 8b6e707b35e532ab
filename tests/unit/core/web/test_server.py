"""Answers leave whole: a replica that is killed has either answered a call or not begun to."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

from services.core.settings import CHECKOUT
from services.core.web.app_factory import create_service_app
from tests.asgi_steps import BODY, HEAD, NEXT_STEP, Steps
from tests.servers import running

LARGE = 8_000_000
KILLED_BETWEEN_HEAD_AND_BODY = """
import os, signal, socket
import uvicorn
from services.core.web.server import server_config

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    os.kill(os.getpid(), signal.SIGKILL)
    await send({"type": "http.response.body", "body": b"body"})

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(server_config(app, lifespan="off")).run(sockets=[listener])
"""


def _app(go_on: threading.Event) -> FastAPI:
    app = create_service_app(service="trial", title="Trial", docs="/trial/docs")

    @app.get("/answer")
    def answer() -> dict[str, str]:
        return {"answer": "x" * 300}

    @app.get("/large")
    async def large() -> PlainTextResponse:
        return PlainTextResponse("x" * LARGE)

    @app.get("/stream")
    def stream() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"first"
            go_on.wait(20)
            yield b"second"

        return StreamingResponse(parts())

    return app


@pytest.fixture(scope="module")
def go_on() -> threading.Event:
    return threading.Event()


@pytest.fixture(scope="module")
def address(go_on: threading.Event) -> Iterator[str]:
    with running(_app(go_on)) as served:
        yield served


def test_a_service_killed_between_head_and_body_has_sent_nothing() -> None:
    """Nothing at all: only then does the edge ask another replica."""
    checkout = CHECKOUT
    command = [sys.executable, "-c", KILLED_BETWEEN_HEAD_AND_BODY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=checkout) as service:
        assert service.stdout is not None
        port = int(service.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert connection.recv(65_536) == b""


def test_a_service_sends_head_and_body_in_one_step(go_on: threading.Event) -> None:
    steps = Steps(_app(go_on))
    with running(steps) as address:
        assert httpx.get(f"{address}/answer").status_code == 200
        assert httpx.get(f"{address}/nothing").status_code == 404
    assert steps.seen == [HEAD, BODY, NEXT_STEP] * 2


def test_an_answer_after_which_the_connection_ends_is_whole(address: str) -> None:
    answer = httpx.get(f"{address}/answer", headers={"Connection": "close"})
    assert len(answer.json()["answer"]) == 300


def test_an_answer_larger_than_the_sockets_buffers_is_whole(address: str) -> None:
    assert len(httpx.get(f"{address}/large", timeout=20).content) == LARGE


def test_a_stream_is_not_held_back(address: str, go_on: threading.Event) -> None:
    with httpx.stream("GET", f"{address}/stream", timeout=20) as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"
        go_on.set()
        assert b"".join(parts) == b"second"
