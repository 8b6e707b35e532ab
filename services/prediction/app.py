"""Builds the application. ``python -m services.prediction`` serves it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator import metrics as instrumentations
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.core.resources import add_resources
from services.core.usecases.contract import ContextSource, UseCase
from services.core.web.authentication import show_roles
from services.core.web.failures import add_failure_handlers
from services.core.web.left_out import count_skipped
from services.core.web.manual import add_manual
from services.core.web.request_ids import RequestIds
from services.core.web.roles import PUBLIC
from services.prediction.access import access_of
from services.prediction.call_seconds import CallSeconds
from services.prediction.calls_log import CallsLog
from services.prediction.champions import ChampionsFactory
from services.prediction.counters import HTTP_SECONDS, Counters
from services.prediction.desks import Opening
from services.prediction.faults import fault, refusal
from services.prediction.follower import LoadModel
from services.prediction.information import information_router
from services.prediction.models import Model
from services.prediction.settings import PredictionSettings

DESCRIPTION = """Answers dispatch centres' calls. Every answer says which model version made it and where that came
from: the registry's champion, the last good version (`cached`) or the declared baseline."""


def create_app(
    settings: PredictionSettings,
    champions: ChampionsFactory,
    *,
    use_cases: Sequence[UseCase] | None = None,
    context: Mapping[str, ContextSource] | None = None,
    load: LoadModel = Model,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The service for ``use_cases`` (default: all that are declared).

    Args:
        champions: makes a client of the model registry; called in background threads alone.
        context: sources of outside data that take the place of the use cases' own.
        load: makes a served model of a bundle; benchmarks put a constant one here.
    """
    counters = Counters(CollectorRegistry())
    add_resources(counters.registry, settings.home.root)
    calls = CallsLog(settings, counters.registry)
    access = access_of(settings, counters.registry)
    opening = Opening(settings, champions, counters, calls, context or {}, load, clock)
    desks = opening.every(use_cases)
    skipped = count_skipped(counters.registry, opening.broken)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        access.start()
        calls.delivery.start()
        for desk in desks.values():
            desk.start()
        until = time.monotonic() + settings.prediction_disk_wait_seconds
        for desk in desks.values():
            await asyncio.to_thread(desk.follower.wait_for_disk, max(0.0, until - time.monotonic()))
        _settle_memory()
        yield
        access.stop()
        for desk in desks.values():
            desk.follower.stop()
        for desk in desks.values():
            await asyncio.to_thread(desk.context.stop)
            await asyncio.to_thread(desk.follower.join, 2.0)
        await asyncio.to_thread(calls.delivery.stop, 3.0)
        await asyncio.to_thread(access.join, 2.0)

    app = FastAPI(
        title="Vigie: predictions",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # the framework's page asks a foreign server for its scripts
        openapi_url="/v1/openapi.json",
        redoc_url=None,
        lifespan=lifespan,
    )
    # Before all others, because routes are tried in turn, and not through include_router, whose matching costs as much
    # as reading the request.
    app.router.routes[:0] = [route for desk in desks.values() for route in desk.routers.calls.routes]
    for desk in desks.values():
        app.router.routes += desk.routers.outcomes.routes
        app.include_router(desk.routers.lists)
    information = {name: (d.answering, d.slot) for name, d in desks.items()}
    app.include_router(information_router(information, skipped, access.state))
    Instrumentator(registry=counters.registry, excluded_handlers=["^/metrics$", "^/health"]).add(
        instrumentations.default(
            latency_highr_buckets=HTTP_SECONDS, latency_lowr_buckets=HTTP_SECONDS, registry=counters.registry
        ),
        CallSeconds(counters, tuple(desks)),
    ).instrument(app).expose(app, tags=["health"], openapi_extra=dict(PUBLIC), summary="Figures for Prometheus")
    add_manual(app, "/v1/docs")
    app.add_middleware(RequestIds)
    add_failure_handlers(app)
    app.add_exception_handler(HTTPException, _on_http(tuple(desks)))
    show_roles(app)
    app.state.desks = desks
    app.state.calls = calls
    app.state.verifier = access.verifier
    return app


def _settle_memory() -> None:
    """Take what start-up made out of the garbage collector's sight: going through it all again and
    again would hold up requests by tens of milliseconds."""
    gc.collect()
    gc.freeze()


def _on_http(names: Sequence[str]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What is not there is told with the use cases that are."""

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        reason = str(error.detail)
        allowed = ""
        parts = request.url.path.split("/")
        if error.status_code == 404 and len(parts) > 2 and parts[1] == "v1" and parts[2] not in names:
            reason, allowed = "There is no such use case.", "one of " + ", ".join(names)
        faults = [fault("not_found" if error.status_code == 404 else "http", reason, allowed=allowed)]
        return refusal(error.status_code, faults, request.scope["request_id"], error.headers)

    return on_http
