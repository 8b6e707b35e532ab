"""Runs uvicorn for all services, with a bounded stop; request ids and the access log."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from functools import partial
from os import urandom
from types import FrameType
from typing import Any

import structlog
import uvicorn
from prometheus_fastapi_instrumentator.metrics import Info
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.auth.principal import Principal
from services.core.headers import REQUEST_ID_HEADER, raw
from services.core.web.connection import GRACE_SECONDS, ConnectionLimits, ServiceProtocol

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
STOP_SECONDS = 14.0
"""Seconds after which a service that was asked to stop ends whatever it does: the supervisor and Compose kill it after
15 and more."""


def server_config(app: Any, *, limits: ConnectionLimits | None = None, **more: Any) -> uvicorn.Config:
    """uvicorn settings shared by all services; ``more`` are those of one service (host, port, proxies)."""
    limits = limits or ConnectionLimits()
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=partial(ServiceProtocol, limits=limits),  # type: ignore[arg-type]
        ws="none",
        access_log=False,  # services log requests themselves, with route, caller and request id
        log_config=None,
        server_header=False,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
        **more,
    )


class ServiceServer(uvicorn.Server):
    """Ends within ``STOP_SECONDS`` after a signal, and sets the application's ``stopping`` flag then, if it has one."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        stopping = getattr(getattr(self.config.app, "state", None), "stopping", None)
        if stopping is not None:
            stopping.set()
        # Threads cannot be cancelled, and the interpreter would wait for them.
        threading.Thread(target=_end_after, args=(STOP_SECONDS,), name="end-in-time", daemon=True).start()
        super().handle_exit(sig, frame)


def _end_after(seconds: float) -> None:
    time.sleep(seconds)
    structlog.get_logger().error("did not stop in time, ends now", seconds=seconds)
    sys.stdout.flush()
    os._exit(1)


def run_server(config: uvicorn.Config) -> None:
    """Serve until a signal ends the process; a server that fails to start exits with ``START_FAILURE_CODE``."""
    server = ServiceServer(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(START_FAILURE_CODE)
