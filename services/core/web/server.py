"""How every service is served: one uvicorn process, because replicas scale, and answers that leave whole.

uvicorn writes an answer's head and its body to the socket one after the other. A replica that is killed in between
has begun an answer, which the edge can no longer ask of another replica, and the call is lost. ``WholeAnswers``
hands both over in one piece: what a request writes in one step of the event loop leaves together.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

START_FAILURE = 3


def server_config(app: Any, **more: Any) -> uvicorn.Config:
    """The settings that all services share; ``more`` are those in which one differs (host, port, proxies)."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=WholeAnswers,
        ws="none",
        access_log=False,  # services count and log by themselves, with route, caller and request id
        log_config=None,
        server_header=False,
        **more,
    )


def run_server(server: uvicorn.Server) -> None:
    """Serve until a signal ends the process; one that could not start ends it with ``START_FAILURE``."""
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(START_FAILURE)


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, with a transport that collects what is written."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Collecting(transport, self.loop))  # type: ignore[arg-type]


class _Collecting:
    """A transport that keeps what is written until the running step of the event loop has ended.

    The wait is one turn of the loop, which is taken before it waits for anything; the second system call of every
    answer is saved. Everything but writing and closing is the transport's own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
