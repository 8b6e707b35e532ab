"""Creates the FastAPI applications of all services: body limit, request ids, error responses, access log, health,
metrics and documentation. ``create_service_app`` creates one, ``serve`` runs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator import metrics as instrumentations
from pydantic import BaseModel, ConfigDict, SecretStr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.auth.service_credentials import parse_service_callers
from services.core.monitoring.process_metrics import register_process_metrics, register_skipped_gauge
from services.core.settings import settings
from services.core.web.api_docs import SERVERS, document_roles, mount_docs, operation_id
from services.core.web.authentication import PUBLIC
from services.core.web.errors import ErrorBody, content_encoding_error, error_detail, error_response
from services.core.web.exception_handlers import add_exception_handlers
from services.core.web.server import LogContextMiddleware, RequestIdMiddleware, log_access, run_server, server_config

OPEN_BODIES = 64
"""Requests with a body that a service handles at a time: their bodies are in memory, before it is known who calls."""


class BodyLimitMiddleware:
    """Refuses requests whose body is longer than ``limit`` bytes with 413, compressed bodies with 415, and more than
    ``OPEN_BODIES`` at a time with 503."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        compressed = content_encoding_error(headers.get(b"content-encoding", b""))
        if compressed is not None:
            refusal = error_response(compressed.status, compressed.faults, scope["request_id"], compressed.headers)
            await refusal(scope, receive, send)
            return
        if not headers.keys() & {b"content-length", b"transfer-encoding"} or headers.get(b"content-length") == b"0":
            await self._app(scope, receive, send)
            return
        if self._open >= OPEN_BODIES:
            faults = [error_detail("busy", "Too many requests are being handled.", action="Try again after a moment.")]
            await error_response(503, faults, scope["request_id"], {"Retry-After": "1"})(scope, receive, send)
            return
        self._open += 1
        try:
            await self._limited(scope, receive, send, headers.get(b"content-length"))
        finally:
            self._open -= 1

    async def _limited(self, scope: Scope, receive: Receive, send: Send, stated: bytes | None) -> None:
        if stated is not None:
            # The server itself enforces the stated content length.
            fits = stated.isdigit() and len(stated) <= 18 and int(stated) <= self._limit
        else:
            fits, receive = await self._read(receive)
        if fits:
            await self._app(scope, receive, send)
            return
        allowed = f"at most {self._limit} bytes"
        faults = [error_detail("body_too_large", "The body is too large.", allowed=allowed)]
        await error_response(413, faults, scope["request_id"])(scope, receive, send)

    async def _read(self, receive: Receive) -> tuple[bool, Receive]:
        """Read a body of unknown length up to the limit; return whether it fits and a receiver that replays it."""
        kept: list[Message] = []
        size, more = 0, True
        while more and size <= self._limit:
            kept.append(message := await receive())
            size += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
        messages = iter(kept)

        async def again() -> Message:
            return next(messages, None) or await receive()

        return size <= self._limit, again


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
ReadinessCheck = Callable[[], Mapping[str, Any] | None]
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Liveness(BaseModel):
    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    model_config = ConfigDict(extra="allow")
    status: Literal["ready"] = "ready"


def create_service_app(
    *,
    service: str,
    title: str,
    docs: str,
    description: str = "",
    version: str = "1",
    lifespan: Lifespan | None = None,
    ready: ReadinessCheck | None = None,
    metrics: CollectorRegistry | None = None,
    service_token: SecretStr | None = None,
    service_callers: str | None = None,
    body_limit_kb: int = 1_024,
    latency_buckets: tuple[float, ...] = LATENCY_BUCKETS,
) -> FastAPI:
    """Create a service's application, without its own routes.

    Args:
        service: its name in logs.
        docs: path of the documentation page, for example ``/auth/docs``; the OpenAPI document is next to it.
        ready: details for ``/health/ready``; raises a ``VigieError`` if the service is not ready. Called often and in
            a thread, so it should be fast.
        metrics: the service's metrics registry, a new one by default; available as ``app.state.metrics``.
        service_token: token shared by all services, that routes of ``admits`` require; without one they refuse all.
        service_callers: ``VIGIE_SERVICE_CALLERS``: with it each caller's own token is required, and no shared one.
        body_limit_kb: largest request body, KiB.
    """
    registry = metrics or CollectorRegistry()
    register_process_metrics(registry, settings().home.root)
    app = FastAPI(
        title=title,
        version=version,
        description=description,
        docs_url=None,  # the framework's pages load scripts from another host
        redoc_url=None,
        openapi_url=docs.rpartition("/")[0] + "/openapi.json",
        lifespan=lifespan,
        servers=SERVERS,
        generate_unique_id_function=operation_id,
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
    )
    app.state.service = service
    app.state.metrics = registry
    app.state.service_token = service_token
    app.state.service_callers = None if service_callers is None else parse_service_callers(service_callers, service)
    app.state.stopping = threading.Event()
    mount_docs(app, docs)
    _add_health(app, ready, register_skipped_gauge(registry))
    Instrumentator(registry=registry, excluded_handlers=["^/metrics$", "^/health"]).add(
        instrumentations.default(
            latency_highr_buckets=latency_buckets, latency_lowr_buckets=latency_buckets, registry=registry
        ),
        log_access,
    ).instrument(app).expose(app, tags=["health"], openapi_extra=dict(PUBLIC), summary="Figures for Prometheus")
    # The middleware added last is the outermost.
    app.add_middleware(BodyLimitMiddleware, limit=body_limit_kb * 1_024)
    app.add_middleware(LogContextMiddleware)
    app.add_middleware(RequestIdMiddleware)
    add_exception_handlers(app)
    document_roles(app)
    return app


def _add_health(app: FastAPI, ready: ReadinessCheck | None, skipped: Sequence[str]) -> None:
    @app.get("/health/live", tags=["health"], openapi_extra=dict(PUBLIC), summary="Whether the process runs")
    async def get_liveness() -> Liveness:
        return Liveness()

    # Monitors ask with HEAD.
    app.add_api_route("/health/live", get_liveness, methods=["HEAD"], include_in_schema=False)

    @app.get("/health/ready", tags=["health"], openapi_extra=dict(PUBLIC), summary="Whether it can do its work")
    def get_readiness() -> Readiness:
        body = ready() or {} if ready is not None else {}
        return Readiness(**{**body, "skipped_use_cases": skipped} if skipped else body)

    app.add_api_route("/health/ready", get_readiness, methods=["HEAD"], include_in_schema=False)


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until a signal ends the process. The client address is taken from the edge's headers if the connection
    comes from ``VIGIE_TRUSTED_PROXIES``."""
    structlog.get_logger().info("listening", host=host, port=port)
    config = server_config(
        app,
        host=host,
        port=port,
        proxy_headers=True,
        forwarded_allow_ips=settings().trusted_proxies,
    )
    run_server(config)
