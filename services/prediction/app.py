"""Builds the application. ``python -m services.prediction`` serves it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.core.usecases import registry as declared
from services.core.usecases.contract import ContextSource, UseCase
from services.core.web.authentication import show_roles
from services.core.web.manual import add_manual
from services.core.web.request_ids import HEADER, RequestIds
from services.core.web.roles import PUBLIC
from services.prediction.access import access_of
from services.prediction.answering import Answering
from services.prediction.calls_log import CallsLog
from services.prediction.champions import ChampionsFactory
from services.prediction.context import NoContext
from services.prediction.counters import HTTP_SECONDS, Counters
from services.prediction.faults import RefusedError, fault, refusal
from services.prediction.follower import Follower, LoadModel
from services.prediction.information import information_router
from services.prediction.models import Model
from services.prediction.routes import calls_router
from services.prediction.settings import PredictionSettings
from services.prediction.slots import Slot
from services.prediction.store import Store

log = structlog.get_logger(__name__)

DESCRIPTION = """Answers dispatch centres' calls. Every answer says which model version made it and where that came
from: the registry's champion, the last good version (`cached`) or the declared baseline."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One use case in service."""

    answering: Answering
    follower: Follower
    slot: Slot
    context: ContextSource


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
    calls = CallsLog(settings, counters.registry)
    access = access_of(settings, counters.registry)
    desks: dict[str, Desk] = {}
    for use_case in declared.every() if use_cases is None else use_cases:
        slot = Slot(settings.prediction_confirmed_seconds, clock)
        source = (context or {}).get(use_case.name) or use_case.context_source(settings) or NoContext()
        follower = Follower(
            use_case,
            slot,
            Store(settings.home.serving(use_case.name)),
            champions,
            counters,
            seconds=settings.alias_poll_seconds,
            load=load,
            clock=clock,
        )
        answering = Answering(use_case, slot, source, counters, settings.prediction_batch_rows)
        desks[use_case.name] = Desk(answering, follower, slot, source)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        access.start()
        calls.delivery.start()
        for desk in desks.values():
            desk.context.start()
            desk.follower.start()
        until = time.monotonic() + settings.prediction_disk_wait_seconds
        for desk in desks.values():
            await asyncio.to_thread(desk.follower.wait_for_disk, max(0.0, until - time.monotonic()))
        await asyncio.to_thread(calls.delivery.wait_until_imported, 5.0)
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
    background = anyio.CapacityLimiter(settings.prediction_background_threads)
    for desk in desks.values():
        # First and not through include_router, whose matching costs as much as reading the request.
        app.router.routes[:0] = calls_router(
            desk.answering, calls.recorder(desk.answering.use_case), settings, background
        ).routes
    app.include_router(information_router({name: (d.answering, d.slot) for name, d in desks.items()}, access.state))
    Instrumentator(registry=counters.registry, excluded_handlers=["^/metrics$", "^/health"]).instrument(
        app, latency_highr_buckets=HTTP_SECONDS, latency_lowr_buckets=HTTP_SECONDS
    ).expose(app, tags=["health"], openapi_extra=dict(PUBLIC), summary="Figures for Prometheus")
    add_manual(app, "/v1/docs")
    app.add_middleware(RequestIds)
    _add_failure_handlers(app, tuple(desks))
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


def _add_failure_handlers(app: FastAPI, names: Sequence[str]) -> None:
    """Every failure has one shape, and none shows internals."""

    async def on_refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return refusal(error.status, error.faults, request.scope["request_id"], error.headers)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        reason = str(error.detail)
        allowed = ""
        parts = request.url.path.split("/")
        if error.status_code == 404 and len(parts) > 2 and parts[1] == "v1" and parts[2] not in names:
            reason, allowed = "There is no such use case.", "one of " + ", ".join(names)
        faults = [fault("not_found" if error.status_code == 404 else "http", reason, allowed=allowed)]
        return refusal(error.status_code, faults, request.scope["request_id"], error.headers)

    async def on_hang_up(request: Request, _: Exception) -> Response:
        return refusal(400, [fault("disconnected", "The caller hung up.")], request.scope["request_id"])

    async def on_failure(request: Request, error: Exception) -> Response:
        request_id = request.scope["request_id"]
        log.error("request failed", request_id=request_id, path=request.url.path, exc_info=error)
        faults = [fault("internal", "The service failed on this request; its log has the request id.")]
        return refusal(500, faults, request_id, {HEADER.decode(): request_id})

    app.add_exception_handler(RefusedError, on_refused)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_hang_up)
    app.add_exception_handler(Exception, on_failure)
