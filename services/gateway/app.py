"""Builds the gateway. ``python -m services.gateway`` serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from argon2 import PasswordHasher
from fastapi import FastAPI, Request, Response
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError

from services.core.database.connection import address, make_engine
from services.core.errors import UnavailableError
from services.core.web.application import make_app
from services.core.web.faults import fault, refusal
from services.core.web.service_credential import required
from services.gateway.account_routes import account_router
from services.gateway.admin_audit import audit_router
from services.gateway.admin_centres import centres_router
from services.gateway.admin_keys import keys_router
from services.gateway.admin_models import models_router
from services.gateway.admin_runs import runs_router
from services.gateway.admin_users import users_router
from services.gateway.airflow import Airflow
from services.gateway.alert_routes import alerts_router
from services.gateway.caretaker import Caretaker
from services.gateway.check_routes import check_router
from services.gateway.dashboard_routes import dashboard_router
from services.gateway.data_routes import data_router
from services.gateway.first_training import FirstTraining
from services.gateway.gateway import Gateway, assemble
from services.gateway.internal_routes import internal_router
from services.gateway.job_routes import jobs_router
from services.gateway.model_read_routes import model_reading_router
from services.gateway.monitoring_routes import monitoring_router
from services.gateway.monitoring_timer import MonitoringTimer
from services.gateway.platform_routes import platform_router
from services.gateway.runner import Runner
from services.gateway.session_routes import session_router
from services.gateway.settings import GatewaySettings
from services.gateway.simulation_routes import Simulator, simulation_router
from services.gateway.stages import Stages
from services.gateway.token_routes import token_router
from services.gateway.watch import Watch

DESCRIPTION = """Who may do what: signing in, users, API keys and centres, the audit log, and the actions of operators
and administrators.

Show an access token (`Authorization: Bearer`), an API key (`X-API-Key`) or the session cookie. Each entry says which
role it requires; a higher one may do it too: viewer, dispatcher, operator, admin."""


def create_app(
    settings: GatewaySettings, *, engine: Engine | None = None, hasher: PasswordHasher | None = None
) -> FastAPI:
    """
    Args:
        engine: the platform's database instead of the one that the settings name.
        hasher: cheaper password hashing, for tests.

    Raises:
        VigieError: a secret that the gateway needs is not set.
    """
    token = required(settings.service_token)
    own = engine is None
    engine = engine or make_engine(address(settings.database_url, settings.home), pool_size=15)
    gateway = assemble(settings, engine, hasher=hasher)
    airflow = None if settings.airflow_url is None else Airflow(settings, gateway.counters)
    runner = Runner(gateway, Stages(settings, token, gateway.counters), airflow)
    caretaker = Caretaker(gateway)
    simulator = Simulator(gateway, token)
    watch = Watch(settings, engine, airflow, gateway.counters.registry)

    def ready() -> Mapping[str, Any]:
        if not caretaker.prepared:
            raise UnavailableError("The gateway waits for the database.", action="See that it runs and is migrated.")
        with gateway.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        return {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        carried = (caretaker.run(), _carry_on(caretaker, gateway, runner), watch.run())
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

    app = make_app(
        service="gateway",
        title="Vigie: access and administration",
        docs="/auth/docs",
        description=DESCRIPTION,
        lifespan=lifespan,
        ready=ready,
        metrics=gateway.counters.registry,
        service_token=token,
        body_limit_kb=2_048,
    )
    app.add_exception_handler(DataError, _on_odd_text)
    app.state.gateway = gateway
    app.state.runner = runner
    app.state.verifier = gateway.access
    for make_router in (
        token_router,
        session_router,
        dashboard_router,
        account_router,
        check_router,
        users_router,
        centres_router,
        keys_router,
        audit_router,
        internal_router,
        alerts_router,
    ):
        app.include_router(make_router(gateway))
    app.include_router(runs_router(gateway, runner))
    app.include_router(models_router(gateway, runner))
    app.include_router(simulation_router(gateway, simulator))
    app.include_router(monitoring_router(gateway, runner))
    app.include_router(model_reading_router(gateway))
    app.include_router(jobs_router(gateway, runner))
    app.include_router(data_router(runner.stages))
    app.include_router(platform_router(settings, runner.stages))
    return app


def _on_odd_text(request: Request, _: Exception) -> Response:
    """PostgreSQL keeps no NUL characters and nothing beyond a column's length."""
    faults = [fault("text", "A text in the request has characters that cannot be kept, or is too long.")]
    return refusal(422, faults, request.scope["request_id"])


async def _carry_on(caretaker: Caretaker, gateway: Gateway, runner: Runner) -> None:
    """Runs, and the first ones of all, once the database is there."""
    await caretaker.until_prepared()
    carrying = [runner.run()]
    if gateway.settings.gateway_first_training:
        carrying.append(FirstTraining(gateway, runner).run())
    hours = gateway.settings.gateway_monitor_hours
    if gateway.settings.drift_url is not None and runner.airflow is None and hours:
        carrying.append(MonitoringTimer(runner.stages, hours).run())
    await asyncio.gather(*carrying)
