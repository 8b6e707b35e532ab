"""Makes the FastAPI services alike: request ids, one shape of failures, an access log, health, metrics and a
manual. ``make_app`` builds one, ``serve`` runs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import FrameType
from typing import Any, Literal

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator import metrics as instrumentations
from pydantic import BaseModel, ConfigDict, SecretStr

from services.core.resources import add_resources
from services.core.settings import settings
from services.core.web.access_log import LogContext, log_access
from services.core.web.authentication import show_roles
from services.core.web.body_limit import BodyLimit
from services.core.web.failures import add_failure_handlers
from services.core.web.faults import Failure
from services.core.web.left_out import count_skipped
from services.core.web.manual import add_manual
from services.core.web.request_ids import RequestIds
from services.core.web.roles import PUBLIC
from services.core.web.server import run_server, server_config

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Ready = Callable[[], Mapping[str, Any] | None]
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
GRACE_SECONDS = 10
"""Requests under way get so long when the service is told to stop."""


class Liveness(BaseModel):
    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    model_config = ConfigDict(extra="allow")
    status: Literal["ready"] = "ready"


def make_app(
    *,
    service: str,
    title: str,
    docs: str,
    description: str = "",
    version: str = "1",
    lifespan: Lifespan | None = None,
    ready: Ready | None = None,
    metrics: CollectorRegistry | None = None,
    service_token: SecretStr | None = None,
    body_limit_kb: int = 1_024,
    latency_buckets: tuple[float, ...] = SECONDS,
) -> FastAPI:
    """A service's application, without its own routes.

    Args:
        service: its name in logs.
        docs: path of the manual, for example ``/auth/docs``; the OpenAPI document lies beside it.
        ready: tells more for ``/health/ready``, and raises a ``VigieError`` where the service cannot do its
            work; called in a thread, and often, so it should be quick.
        metrics: where the service counts; a registry of its own by default. ``app.state.metrics`` has it.
        service_token: what ``ServiceCaller`` routes ask for; without one they let nobody in.
        body_limit_kb: largest body of a request.
    """
    registry = metrics or CollectorRegistry()
    add_resources(registry, settings().home.root)
    app = FastAPI(
        title=title,
        version=version,
        description=description,
        docs_url=None,  # the framework's pages ask a foreign server for their scripts
        redoc_url=None,
        openapi_url=docs.rpartition("/")[0] + "/openapi.json",
        lifespan=lifespan,
        responses={"4XX": {"model": Failure}, "5XX": {"model": Failure}},
    )
    app.state.service = service
    app.state.metrics = registry
    app.state.service_token = service_token
    app.state.stopping = threading.Event()
    add_manual(app, docs)
    _add_health(app, ready, count_skipped(registry))
    Instrumentator(registry=registry, excluded_handlers=["^/metrics$", "^/health"]).add(
        instrumentations.default(
            latency_highr_buckets=latency_buckets, latency_lowr_buckets=latency_buckets, registry=registry
        ),
        log_access,
    ).instrument(app).expose(app, tags=["health"], openapi_extra=dict(PUBLIC), summary="Figures for Prometheus")
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limit=body_limit_kb * 1_024)
    app.add_middleware(LogContext)
    app.add_middleware(RequestIds)
    add_failure_handlers(app)
    show_roles(app)
    return app


def _add_health(app: FastAPI, ready: Ready | None, skipped: Sequence[str]) -> None:
    @app.get("/health/live", tags=["health"], openapi_extra=dict(PUBLIC), summary="Whether the process runs")
    async def live() -> Liveness:
        return Liveness()

    @app.get("/health/ready", tags=["health"], openapi_extra=dict(PUBLIC), summary="Whether it can do its work")
    def readiness() -> Readiness:
        told = ready() or {} if ready is not None else {}
        return Readiness(**{**told, "skipped_use_cases": skipped} if skipped else told)


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until a signal ends the process. Who calls is taken from the edge's headers where the call comes from
    ``VIGIE_TRUSTED_PROXIES``."""
    structlog.get_logger().info("listening", host=host, port=port)
    config = server_config(
        app,
        host=host,
        port=port,
        proxy_headers=True,
        forwarded_allow_ips=settings().trusted_proxies,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    run_server(_Server(config))


class _Server(uvicorn.Server):
    """Says so when it is told to stop, so that requests which wait for something end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        assert isinstance(app, FastAPI)
        app.state.stopping.set()
        super().handle_exit(sig, frame)
