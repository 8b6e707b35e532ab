"""The health check of containers: 200 is healthy and nothing else is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.core.healthcheck import check


@contextmanager
def answering(line: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(line)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_200_is_healthy() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        assert check(port, "/health/ready") is None


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"", b"hello"]
)
def test_anything_else_is_not(line: bytes) -> None:
    with answering(line) as port:
        assert "not 200" in str(check(port, "/health/ready"))


def test_silence_is_not() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert "does not answer" in str(check(unused.getsockname()[1], "/health/ready"))
