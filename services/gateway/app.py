"""Builds the FastAPI application and starts its background tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from argon2 import PasswordHasher
from fastapi import FastAPI, Request, Response
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError

from services.core.database.connection import database_address, make_engine
from services.core.errors import UnavailableError
from services.core.steps import ALL_USE_CASES
from services.core.web.app_factory import create_service_app
from services.core.web.errors import error_detail, error_response
from services.core.web.service_auth import require_service_token
from services.gateway.alerts.routes import alerts_router
from services.gateway.api_keys.routes import api_keys_router
from services.gateway.audit.routes import audit_router
from services.gateway.auth.oidc_routes import oidc_router
from services.gateway.auth.session_routes import dashboard_login_router, session_router
from services.gateway.auth.token_routes import forward_auth_router, internal_router, token_router
from services.gateway.container import GatewayContainer, MaintenanceTask, build_container
from services.gateway.models.routes import model_details_router, models_router, withdrawals_router
from services.gateway.models.service import list_versions
from services.gateway.monitoring.routes import JobTimer, monitoring_router
from services.gateway.platform.dependency_probe import DependencyProbe
from services.gateway.platform.routes import SimulatorClient, platform_router, simulation_router
from services.gateway.runs.airflow_client import AirflowClient
from services.gateway.runs.orchestrator import RunOrchestrator
from services.gateway.runs.routes import data_router, jobs_router, runs_router
from services.gateway.runs.service import FirstTraining
from services.gateway.service_client import JobClient
from services.gateway.settings import GatewaySettings
from services.gateway.users.account_routes import account_router, second_factor_router
from services.gateway.users.routes import centres_router, users_router

DESCRIPTION = """Who may do what: signing in, users, API keys and centres, the audit log, and the actions of operators
and administrators.

Show an access token (`Authorization: Bearer`), an API key (`X-API-Key`) or the session cookie. Each entry says which
role it requires; a higher one may do it too: viewer, dispatcher, operator, admin."""


def create_app(
    settings: GatewaySettings, *, engine: Engine | None = None, hasher: PasswordHasher | None = None
) -> FastAPI:
    """Create the gateway's application.

    Args:
        engine: database engine to use instead of the one from the settings.
        hasher: cheaper password hashing, for tests.

    Raises:
        VigieError: a required secret is not set.
    """
    token = require_service_token(settings.service_token)
    own = engine is None
    engine = engine or make_engine(database_address(settings.database_url, settings.home), pool_size=15)
    gateway = build_container(settings, engine, hasher=hasher)
    airflow = None if settings.airflow_url is None else AirflowClient(settings, gateway.counters)
    runner = RunOrchestrator(gateway, JobClient(settings, token, gateway.counters), airflow)
    caretaker = MaintenanceTask(gateway)
    simulator = SimulatorClient(gateway, token)
    watch = DependencyProbe(settings, engine, airflow, gateway.counters.registry)

    def ready() -> Mapping[str, Any]:
        if not caretaker.prepared:
            raise UnavailableError("The gateway waits for the database.", action="See that it runs and is migrated.")
        with gateway.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        return {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        carried = (caretaker.run(), _run_background_tasks(caretaker, gateway, runner), watch.run())
        tasks = [asyncio.create_task(work) for work in carried]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.close()
        await simulator.close()
        await asyncio.to_thread(gateway.access.stop)
        if own:
            await asyncio.to_thread(engine.dispose)

    app = create_service_app(
        service="gateway",
        title="Vigie: access and administration",
        docs="/auth/docs",
        description=DESCRIPTION,
        lifespan=lifespan,
        ready=ready,
        metrics=gateway.counters.registry,
        service_token=token,
        service_callers=settings.service_callers,
        body_limit_kb=2_048,
    )
    app.add_exception_handler(DataError, _on_unstorable_text)
    app.state.gateway = gateway
    app.state.runner = runner
    app.state.authenticator = gateway.access
    for make_router in (
        token_router,
        session_router,
        dashboard_login_router,
        oidc_router,
        account_router,
        second_factor_router,
        forward_auth_router,
        users_router,
        centres_router,
        api_keys_router,
        audit_router,
        internal_router,
        alerts_router,
    ):
        app.include_router(make_router(gateway))
    app.include_router(runs_router(gateway, runner))
    app.include_router(models_router(gateway, runner))
    app.include_router(withdrawals_router(gateway))
    app.include_router(simulation_router(gateway, simulator))
    app.include_router(monitoring_router(gateway, runner))
    app.include_router(model_details_router(gateway))
    app.include_router(jobs_router(gateway, runner))
    app.include_router(data_router(runner.stages))
    app.include_router(platform_router(settings, runner.stages))
    return app


FIRST_HOUSEKEEPING_SECONDS = 900.0
"""A platform that starts has more urgent work, and services that housekeeping needs may not be ready."""


def _on_unstorable_text(request: Request, _: Exception) -> Response:
    """Answer 422: PostgreSQL stores neither NUL characters nor text beyond a column's length."""
    faults = [error_detail("text", "A text in the request has characters that cannot be kept, or is too long.")]
    return error_response(422, faults, request.scope["request_id"])


async def _run_background_tasks(caretaker: MaintenanceTask, gateway: GatewayContainer, runner: RunOrchestrator) -> None:
    """Run the orchestrator, and where enabled first training and the timers, once the database is ready."""
    await caretaker.wait_until_prepared()
    carrying = [runner.run()]
    if gateway.settings.gateway_first_training:
        carrying.append(FirstTraining(gateway, runner).run())
    hours = gateway.settings.gateway_monitor_hours
    if gateway.settings.drift_url is not None and runner.airflow is None and hours:
        # Not before the registry answers: on a first start the job would fail, and be the first that people see.
        known = partial(list_versions, gateway.settings)
        carrying.append(JobTimer(runner.stages, "monitor", hours, needs=known).run())
    if runner.airflow is None and (hours := gateway.settings.gateway_housekeeping_hours):
        options = {"dry_run": False}
        carrying.append(
            JobTimer(
                runner.stages,
                "housekeeping",
                hours,
                use_cases=(ALL_USE_CASES,),
                options=options,
                after=FIRST_HOUSEKEEPING_SECONDS,
            ).run()
        )
    await asyncio.gather(*carrying)
