"""Asks a service on this machine for one page: ``python -S -m services.core.probe PORT [PATH]``.

For health checks that run every few seconds, so it imports next to nothing. Ends with 0 where the answer is 200.
"""

from __future__ import annotations

import socket
import sys

SECONDS = 4.0


def trouble(port: int, path: str) -> str | None:
    """What is wrong with the page, or None where it answers 200."""
    request = f"GET {path} HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
            connection.sendall(request)
            line = connection.makefile("rb").readline(200).decode("latin-1").strip()
    except OSError as error:
        return f"port {port} does not answer: {error}"
    status = line.split(" ", 2)[1:2]
    return None if status == ["200"] else f"{path} on port {port} answers {line!r}, not 200"


if __name__ == "__main__":
    _, number, *rest = sys.argv
    if problem := trouble(int(number), rest[0] if rest else "/health/ready"):
        sys.exit(problem)
