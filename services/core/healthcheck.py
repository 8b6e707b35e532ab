"""Checks the health of a service on this machine: ``python -S -m services.core.healthcheck PORT [PATH]``.

Runs every few seconds, so it imports next to nothing. Exit code 0 if the response is 200."""

from __future__ import annotations

import socket
import sys

TIMEOUT_SECONDS = 4.0


def check(port: int, path: str) -> str | None:
    """Return the problem, or None if the page answers 200."""
    request = f"GET {path} HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(request)
            line = connection.makefile("rb").readline(200).decode("latin-1").strip()
    except OSError as error:
        return f"port {port} does not answer: {error}"
    status = line.split(" ", 2)[1:2]
    return None if status == ["200"] else f"{path} on port {port} answers {line!r}, not 200"


if __name__ == "__main__":
    _, number, *rest = sys.argv
    if problem := check(int(number), rest[0] if rest else "/health/ready"):
        sys.exit(problem)
