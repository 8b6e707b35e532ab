"""One log line per request: what was asked of which route, by whom and how it went. Never bodies, query
values or the values in a path."""

from __future__ import annotations

import structlog
from prometheus_fastapi_instrumentator.metrics import Info
from starlette.types import ASGIApp, Receive, Scope, Send

from services.core.access.caller import Caller

log = structlog.get_logger("access")

CALLER = "caller"
"""Whoever finds out who calls puts a ``Caller`` into the request's scope under this name."""


class LogContext:
    """Puts the request id on every line that is logged while a request is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            await self._app(scope, receive, send)


def log_access(info: Info) -> None:
    """An instrumentation: called after each request that is counted."""
    scope = info.request.scope
    caller: Caller | None = scope.get(CALLER)
    log.info(
        "request",
        method=info.method,
        route=info.modified_handler,
        status=info.response.status_code if info.response is not None else 500,
        milliseconds=round(info.modified_duration * 1_000, 1),
        request_id=scope["request_id"],
        **({"caller_kind": caller.kind, "caller_id": caller.id} if caller is not None else {}),
    )
