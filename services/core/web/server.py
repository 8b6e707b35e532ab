"""Runs uvicorn for all services: single-write responses, request ids and the access log.

uvicorn writes a response's head and body to the socket separately. A replica that is killed in between has started a
response, which the edge can no longer retry on another replica, and the call is lost.
``SingleWriteProtocol`` sends everything that a request writes in one event-loop turn at once."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from os import urandom
from typing import Any

import structlog
import uvicorn
from prometheus_fastapi_instrumentator.metrics import Info
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.core.auth.principal import Principal
from services.core.headers import REQUEST_ID_HEADER, raw

_NAME = raw(REQUEST_ID_HEADER)
_VALID_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")


class RequestIdMiddleware:
    """Sets ``scope["request_id"]`` and the same id in the response header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = b""
        for name, value in scope["headers"]:
            if name == _NAME:
                given = value
                break
        chosen = given if _VALID_ID.fullmatch(given) else urandom(12).hex().encode()
        scope["request_id"] = chosen.decode()

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((_NAME, chosen))
            await send(message)

        await self._app(scope, receive, with_id)


access_log = structlog.get_logger("access")

PRINCIPAL_KEY = "caller"
"""Key of the authenticated ``Principal`` in the request's scope."""


class LogContextMiddleware:
    """Binds the request id to every log line of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            await self._app(scope, receive, send)


def log_access(info: Info) -> None:
    """Access log, as an instrumentation: called after each counted request."""
    scope = info.request.scope
    caller: Principal | None = scope.get(PRINCIPAL_KEY)
    access_log.info(
        "request",
        method=info.method,
        route=info.modified_handler,
        status=info.response.status_code if info.response is not None else 500,
        milliseconds=round(info.modified_duration * 1_000, 1),
        request_id=scope["request_id"],
        **({"caller_kind": caller.kind, "caller_id": caller.id} if caller is not None else {}),
    )


START_FAILURE_CODE = 3


def server_config(app: Any, **more: Any) -> uvicorn.Config:
    """uvicorn settings shared by all services; ``more`` are those of one service (host, port, proxies)."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=SingleWriteProtocol,
        ws="none",
        access_log=False,  # services log requests themselves, with route, caller and request id
        log_config=None,
        server_header=False,
        **more,
    )


def run_server(server: uvicorn.Server) -> None:
    """Serve until a signal ends the process; a server that fails to start exits with ``START_FAILURE_CODE``."""
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(START_FAILURE_CODE)


class SingleWriteProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a transport that buffers writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_BufferedTransport(transport, self.loop))  # type: ignore[arg-type]


class _BufferedTransport:
    """A transport that buffers writes until the end of the current event-loop turn.

    The flush runs in the next turn, before the loop waits for I/O; this saves the second system call of every
    response. Everything but writing and closing is delegated to the real transport.
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
