"""The simulator's application: ``python -m services.simulator`` serves it. Nothing is played until somebody asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from services.core.errors import VigieError
from services.core.web.application import make_app
from services.core.web.roles import SERVICE
from services.core.web.service_credential import ServiceCaller, required
from services.simulator import scenario
from services.simulator.centre_keys import KeySource
from services.simulator.desk import Desk
from services.simulator.plan import Plan, planned
from services.simulator.schemas import NewReplay, Simulations, SimulationState
from services.simulator.settings import SimulatorSettings
from services.simulator.simulation import Simulation

DESCRIPTION = """Plays control rooms against the running platform: calls with the shape of day and week, outcomes,
bursts, changes of the world and hostile clients. All of it is marked as simulated. Only the platform's services may
call."""


def create_app(settings: SimulatorSettings) -> FastAPI:
    """
    Raises:
        VigieError: there is no credential for calls between services.
    """
    token = required(settings.service_token)
    keys = None if settings.gateway_url is None else KeySource(settings.gateway_url, token)

    def make(plan: Plan, asked_by: str) -> Simulation:
        return Simulation(plan, settings, keys, asked_by=asked_by)

    desk = Desk(make, settings.simulator_together)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.stop_all()

    app = make_app(
        service="simulator",
        title="Vigie: simulator",
        docs="/docs",
        description=DESCRIPTION,
        lifespan=lifespan,
        service_token=token,
        body_limit_kb=64,
    )
    app.include_router(_routes(desk, settings))
    app.state.desk = desk
    return app


def _routes(desk: Desk, settings: SimulatorSettings) -> APIRouter:
    router = APIRouter(prefix="/simulations", tags=["simulations"])
    own = dict(SERVICE)

    @router.post("", status_code=202, openapi_extra=own, summary="Start a simulation")
    async def start(asked: NewReplay, caller: ServiceCaller) -> SimulationState:
        """409 where as many as may run do."""
        if (asked.rate or 0) > settings.simulator_rate_limit:
            raise VigieError(
                f"{asked.rate:g} calls per second are too many.",
                expected=f"at most {settings.simulator_rate_limit:g}",
                action="Set VIGIE_SIMULATOR_RATE_LIMIT where that is meant.",
            )
        plan = planned(scenario.load(asked.scenario), **asked.model_dump(exclude={"scenario"}))
        return SimulationState.model_validate(desk.start(plan, caller.name).told())

    @router.get("", openapi_extra=own, summary="What can be played, and what was")
    async def listed(_: ServiceCaller) -> Simulations:
        titles = {name: scenario.load(name).title for name in scenario.names()}
        states = [SimulationState.model_validate(each.told()) for each in desk.listed()]
        return Simulations(scenarios=titles, simulations=states)

    @router.get("/{id}", openapi_extra=own, summary="One simulation with its live figures")
    async def one(id: str, _: ServiceCaller) -> SimulationState:
        return SimulationState.model_validate(desk.get(id).told())

    @router.delete("/{id}", openapi_extra=own, summary="Stop a simulation")
    async def stop(id: str, _: ServiceCaller) -> SimulationState:
        """When this answers, nothing is sent any more. One that is over stays as it ended."""
        return SimulationState.model_validate((await desk.stop(id)).told())

    return router
