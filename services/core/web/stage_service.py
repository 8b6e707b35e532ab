"""Creates and runs the application of a stage service: the job routes and the worker that runs the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.exc import SQLAlchemyError

from services.core import use_case_registry as declared
from services.core.audit.entries import AuditOutbox
from services.core.database.connection import database_address, make_engine
from services.core.errors import UnavailableError, VigieError
from services.core.jobs.metrics import JobMetrics
from services.core.jobs.options import JobSettings
from services.core.jobs.queue import JobQueue
from services.core.jobs.worker import JobWorker
from services.core.logs import configure_logging
from services.core.steps import jobs_of_service
from services.core.web.app_factory import create_service_app, serve
from services.core.web.job_routes import create_job_router
from services.core.web.service_auth import require_service_token

DESCRIPTION = """Runs this part of the pipeline as jobs. A job is asked for with `POST /jobs` and followed with
`GET /jobs/{id}`; it runs in processes of its own, with limits of memory and time, and what it makes is published whole
or not at all. Only the platform's services may call."""


def create_stage_app(
    service: str,
    title: str,
    module: str,
    settings: JobSettings,
    *,
    routers: Sequence[APIRouter] = (),
    figures: Callable[[JobMetrics], None] = lambda _: None,
) -> FastAPI:
    """Create the stage service ``service``, whose jobs are the functions in ``module.JOBS``.

    Args:
        routers: routes in addition to those of the jobs.
        figures: adds metrics of the service, for example from the results of its jobs.

    Raises:
        VigieError: the service token is missing.
    """
    token = require_service_token(settings.service_token)
    engine = make_engine(database_address(settings.database_url, settings.home))
    metrics = CollectorRegistry()
    queue = JobQueue(engine, service)
    counters = JobMetrics(metrics)
    counters.expect(declared.names(), jobs_of_service(service))
    figures(counters)
    worker = JobWorker(queue, module, settings, counters)
    outbox = AuditOutbox.of(settings, service)
    if outbox is not None:
        waiting = Gauge("vigie_audit_entries_waiting", "Audit entries not yet delivered.", registry=metrics)
        waiting.set_function(outbox.waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        if outbox is not None:
            outbox.start()
        yield
        await asyncio.to_thread(worker.stop)
        if outbox is not None:
            await asyncio.to_thread(outbox.stop)
        engine.dispose()

    def ready() -> Mapping[str, Any]:
        try:
            counts = queue.counts()
        except SQLAlchemyError as error:
            raise UnavailableError(
                f"The table of jobs cannot be read ({type(error).__name__}).",
                expected="a database that answers and is up to date",
                action="See VIGIE_DATABASE_URL, and run python -m services.core.database.migrate.",
            ) from error
        if not worker.alive:
            raise UnavailableError("The worker does not run.", action="Restart the service; its log says why.")
        return {"jobs": {str(state): number for state, number in counts.items()}}

    app = create_service_app(
        service=service,
        title=title,
        description=DESCRIPTION,
        docs="/docs",
        lifespan=lifespan,
        ready=ready,
        metrics=metrics,
        service_token=token,
        service_callers=settings.service_callers,
        body_limit_kb=64,
    )
    app.include_router(create_job_router(service, queue, worker))
    for router in routers:
        app.include_router(router)
    app.state.queue, app.state.worker = queue, worker
    return app


SettingsT = TypeVar("SettingsT", bound=JobSettings)


def run_stage_service(
    service: str,
    title: str,
    module: str,
    settings: type[SettingsT],
    place: Callable[[SettingsT], tuple[str, int]],
    *,
    routers: Callable[[SettingsT], Sequence[APIRouter]] = lambda _: (),
    figures: Callable[[SettingsT, JobMetrics], None] = lambda _, __: None,
) -> int:
    """Run the stage service on the host and port that ``place`` reads from its settings; returns the exit code.
    ``routers`` creates routes in addition to those of the jobs, ``figures`` adds metrics."""
    configure_logging(service)
    try:
        chosen = settings()
        app = create_stage_app(
            service, title, module, chosen, routers=routers(chosen), figures=lambda counters: figures(chosen, counters)
        )
    except VigieError as error:
        structlog.get_logger().error("service does not start", reason=str(error))
        return 1
    serve(app, *place(chosen))
    return 0
