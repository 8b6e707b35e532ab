"""Builds the FastAPI application, with one deployment per use case.

A use case that fails to load is logged and skipped."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator import metrics as instrumentations
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.core import use_case_registry as declared
from services.core.audit.entries import AuditOutbox
from services.core.auth.snapshot import Withdrawal
from services.core.contract.use_case import ContextSource, UseCase
from services.core.monitoring.process_metrics import register_process_metrics, register_skipped_gauge
from services.core.web.api_docs import SERVERS, document_roles, mount_docs, operation_id
from services.core.web.authentication import PUBLIC
from services.core.web.errors import error_detail, error_response
from services.core.web.exception_handlers import add_exception_handlers, allowed_instead
from services.core.web.server import RequestIdMiddleware
from services.prediction.api.background_work import BackgroundWork
from services.prediction.api.list_routes import list_router
from services.prediction.api.metadata_routes import metadata_router
from services.prediction.api.predict_routes import predict_router
from services.prediction.auth import create_auth
from services.prediction.inference.prediction_service import PredictionService
from services.prediction.inference.served_model import LoadedModel, ModelSlot, create_context_source
from services.prediction.log.prediction_log import PredictionLog
from services.prediction.metrics import LATENCY_BUCKETS, CallLatencyInstrumentation, PredictionMetrics
from services.prediction.model_sync.bundle_cache import BundleCache, RegistryClientFactory
from services.prediction.model_sync.model_watcher import ModelLoader, ModelWatcher
from services.prediction.outcomes.routes import outcomes_router
from services.prediction.settings import PredictionSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UseCaseRouters:
    """Routers of one use case: predictions, outcomes and lists."""

    calls: APIRouter
    outcomes: APIRouter
    lists: APIRouter


@dataclass(frozen=True, slots=True)
class SharedWork:
    """Threads and places that all use cases share."""

    predictions: BackgroundWork
    outcomes: BackgroundWork
    lists: BackgroundWork

    @classmethod
    def of(cls, settings: PredictionSettings) -> SharedWork:
        threads, waiting = settings.prediction_background_threads, settings.prediction_background_waiting
        return cls(
            BackgroundWork("batches and explanations", threads, waiting),
            # A thread of their own: what happened is reported while batches run.
            BackgroundWork("outcomes", 1, 2 * waiting),
            BackgroundWork("lists", threads, 4 * waiting),
        )


@dataclass(frozen=True, slots=True)
class Deployment:
    """One use case with its served model, background threads and routes."""

    answering: PredictionService
    follower: ModelWatcher
    slot: ModelSlot
    context: ContextSource
    routers: UseCaseRouters

    def start(self) -> None:
        try:
            self.context.start()
        except Exception as error:  # noqa: BLE001 - use-case code; predictions go on without context
            log.error("context does not start", use_case=self.answering.use_case.name, reason=str(error))
        self.follower.start()


@dataclass(frozen=True, slots=True)
class DeploymentFactory:
    """Creates one deployment per use case from the shared settings, metrics and prediction log."""

    settings: PredictionSettings
    champions: RegistryClientFactory
    counters: PredictionMetrics
    calls: PredictionLog
    context: Mapping[str, ContextSource]
    load: ModelLoader
    clock: Callable[[], float]
    work: SharedWork
    outbox: AuditOutbox | None = None
    broken: list[str] = field(default_factory=list)

    def every(self, use_cases: Sequence[UseCase] | None) -> dict[str, Deployment]:
        """Create one deployment per use case.

        Use cases that are passed explicitly must all load. Of the registered ones (None) a use case that fails to load
        is logged, skipped and named in ``broken``."""
        desks = {}
        for use_case in declared.list_use_cases() if use_cases is None else use_cases:
            try:
                desks[use_case.name] = self._desk(use_case)
            except Exception as error:
                if use_cases is not None:
                    raise
                self.broken.append(use_case.name)
                log.exception("use case skipped", use_case=use_case.name, reason=f"{type(error).__name__}: {error}")
        return desks

    def _desk(self, use_case: UseCase) -> Deployment:
        settings = self.settings
        slot = ModelSlot(settings.prediction_confirmed_seconds, self.clock, settings.prediction_withdrawn)
        source = self.context.get(use_case.name) or create_context_source(use_case, settings)
        follower = ModelWatcher(
            use_case,
            slot,
            BundleCache(settings.home.serving(use_case.name)),
            self.champions,
            self.counters,
            seconds=settings.alias_poll_seconds,
            load=self.load,
            clock=self.clock,
        )
        answering = PredictionService(use_case, slot, source, self.counters, settings.prediction_batch_rows)
        routers = UseCaseRouters(
            predict_router(answering, self.calls.recorder(use_case), settings, self.work.predictions),
            outcomes_router(use_case, self.calls.journal, settings, self.work.outcomes),
            list_router(use_case, self.calls.database, settings, self.work.lists, self.outbox),
        )
        return Deployment(answering, follower, slot, source, routers)


DESCRIPTION = """Answers dispatch centres' calls. Every answer says which model version made it and where that came
from: the registry's champion, the last good version (`cached`) or the declared baseline."""


def create_app(
    settings: PredictionSettings,
    champions: RegistryClientFactory,
    *,
    use_cases: Sequence[UseCase] | None = None,
    context: Mapping[str, ContextSource] | None = None,
    load: ModelLoader = LoadedModel,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """Create the service for ``use_cases`` (default: all registered ones).

    Args:
        champions: creates a client of the model registry; called in background threads only.
        context: context sources that replace those of the use cases.
        load: creates a served model from a bundle; benchmarks pass a constant model.
    """
    counters = PredictionMetrics(CollectorRegistry())
    register_process_metrics(counters.registry, settings.home.root)
    calls = PredictionLog(settings, counters.registry)
    access = create_auth(settings, counters.registry)
    work = SharedWork.of(settings)
    outbox = AuditOutbox.of(settings, "prediction")
    opening = DeploymentFactory(settings, champions, counters, calls, context or {}, load, clock, work, outbox)
    desks = opening.every(use_cases)
    access.on_withdrawn(partial(_withdraw, desks))
    skipped = register_skipped_gauge(counters.registry, opening.broken)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        access.start()
        calls.delivery.start()
        if outbox is not None:
            outbox.start()
        for desk in desks.values():
            desk.start()
        until = time.monotonic() + settings.prediction_disk_wait_seconds
        for desk in desks.values():
            await asyncio.to_thread(desk.follower.wait_for_disk, max(0.0, until - time.monotonic()))
        _freeze_garbage_collector()
        yield
        access.stop()
        for desk in desks.values():
            desk.follower.stop()
        for desk in desks.values():
            await asyncio.to_thread(desk.context.stop)
            await asyncio.to_thread(desk.follower.join, 2.0)
        await asyncio.to_thread(calls.delivery.stop, 3.0)
        await asyncio.to_thread(access.join, 2.0)
        if outbox is not None:
            await asyncio.to_thread(outbox.stop)

    app = FastAPI(
        title="Vigie: predictions",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # the framework's page loads scripts from another host
        openapi_url="/v1/openapi.json",
        redoc_url=None,
        lifespan=lifespan,
        servers=SERVERS,
        generate_unique_id_function=operation_id,
    )
    # First, because routes are matched in order; not through include_router, whose matching costs as much as reading
    # the request.
    app.router.routes[:0] = [route for desk in desks.values() for route in desk.routers.calls.routes]
    for desk in desks.values():
        app.router.routes += desk.routers.outcomes.routes
        app.include_router(desk.routers.lists)
    information = {name: (d.answering, d.slot) for name, d in desks.items()}
    app.include_router(metadata_router(information, skipped, access.state))
    Instrumentator(registry=counters.registry, excluded_handlers=["^/metrics$", "^/health"]).add(
        instrumentations.default(
            latency_highr_buckets=LATENCY_BUCKETS, latency_lowr_buckets=LATENCY_BUCKETS, registry=counters.registry
        ),
        CallLatencyInstrumentation(counters, tuple(desks)),
    ).instrument(app).expose(app, tags=["health"], openapi_extra=dict(PUBLIC), summary="Figures for Prometheus")
    mount_docs(app, "/v1/docs")
    app.add_middleware(RequestIdMiddleware)
    add_exception_handlers(app)
    app.add_exception_handler(HTTPException, _http_error_handler(tuple(desks)))
    document_roles(app)
    app.state.deployments = desks
    app.state.calls = calls
    app.state.work = work
    app.state.authenticator = access.authenticator
    return app


def _withdraw(desks: Mapping[str, Deployment], active: Sequence[Withdrawal]) -> None:
    """Put the active emergency stops in force, and those that were lifted out of it."""
    for name, desk in desks.items():
        own = tuple(entry for entry in active if entry.use_case == name)
        for event, entries, others in (
            ("advice withdrawn", own, desk.slot.withdrawn),
            ("advice restored", desk.slot.withdrawn, own),
        ):
            for entry in entries:
                if entry not in others:
                    log.warning(event, use_case=name, id=entry.id, target=entry.target, version=entry.version)
        desk.slot.withdrawn = own


def _freeze_garbage_collector() -> None:
    """Exclude the objects that start-up created from garbage collection: scanning them repeatedly would delay
    requests by tens of milliseconds."""
    gc.collect()
    gc.freeze()


def _http_error_handler(names: Sequence[str]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Create the handler of HTTP errors; 404 for an unknown use case lists the names of those that are served."""

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        reason, allowed = str(error.detail), allowed_instead(request, error)
        parts = request.url.path.split("/")
        if error.status_code == 404 and len(parts) > 2 and parts[1] == "v1" and parts[2] not in names:
            reason, allowed = "There is no such use case.", "one of " + ", ".join(names)
        faults = [error_detail("not_found" if error.status_code == 404 else "http", reason, allowed=allowed)]
        return error_response(error.status_code, faults, request.scope["request_id"], error.headers)

    return on_http
