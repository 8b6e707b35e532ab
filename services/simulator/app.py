"""Creates the simulator's FastAPI application, and runs the simulations that are requested there as asyncio tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field

from services.core.auth.principal import Principal
from services.core.errors import ConflictError, NotFoundError, VigieError
from services.core.web.app_factory import create_service_app
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import admits, require_service_token
from services.simulator import scenario
from services.simulator.client import CentreKeyClient
from services.simulator.plan import SimulationPlan, make_plan
from services.simulator.settings import SimulatorSettings
from services.simulator.simulation import Simulation

MAX_FINISHED = 20
"""Finished simulations that can still be queried."""


class SimulationRunner:
    """Starts, lists and stops simulations.

    Args:
        make: creates a simulation from a plan and the name of who requested it.
        together: maximum number of concurrent simulations.
    """

    def __init__(self, make: Callable[[SimulationPlan, str], Simulation], together: int) -> None:
        self._make = make
        self._together = together
        self._all: dict[str, tuple[Simulation, asyncio.Task[None]]] = {}

    def start(self, plan: SimulationPlan, asked_by: str) -> Simulation:
        """Start a simulation.

        Raises:
            ConflictError: the maximum number of simulations is running.
        """
        running = [simulation for simulation, _ in self._all.values() if not simulation.over]
        if len(running) >= self._together:
            raise ConflictError(
                f"{len(running)} simulations run already.",
                expected=f"at most {self._together} at the same time",
                action="Wait, or stop one of them.",
            )
        simulation = self._make(plan, asked_by)
        self._all[plan.id] = (simulation, asyncio.create_task(simulation.run()))
        over = [old for old, (each, _) in self._all.items() if each.over]
        for old in over[: max(0, len(over) - MAX_FINISHED)]:
            del self._all[old]
        return simulation

    def listed(self) -> list[Simulation]:
        """All simulations, newest first."""
        return [simulation for simulation, _ in reversed(self._all.values())]

    def get(self, id: str) -> Simulation:
        """Look up a simulation.

        Raises:
            NotFoundError: it does not exist or was discarded.
        """
        if id not in self._all:
            raise NotFoundError("There is no such simulation (any more).", action="GET /simulations lists them.")
        return self._all[id][0]

    async def stop(self, id: str) -> Simulation:
        """Stop a simulation; nothing is sent after this returns.

        Raises:
            NotFoundError: it does not exist.
        """
        simulation = self.get(id)
        task = self._all[id][1]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not simulation.over:
            simulation.mark_not_started()
        return simulation

    async def stop_all(self) -> None:
        for each in list(self._all):
            await self.stop(each)


MAX_SECONDS = 86_400


class SimulationRequest(BaseModel):
    """Options of a simulation; missing ones have the scenario's values."""

    model_config = ConfigDict(extra="forbid")

    scenario: str = Field(max_length=60, examples=["storm"])
    rate: float | None = Field(default=None, gt=0, le=100_000, description="Calls per second, on average.")
    seconds: float | None = Field(default=None, gt=0, le=MAX_SECONDS, description="How long calls come.")
    speed: float | None = Field(default=None, gt=0, le=1_000_000, description="Simulated seconds in one second.")
    use_cases: list[str] = Field(default=[], max_length=50, description="Only these; empty: as the scenario says.")
    starts: str | None = Field(default=None, max_length=20, description="YYYY-MM-DDTHH:MM or HH:MM, local time.")
    seed: int | None = Field(default=None, ge=0, lt=2**31, description="The same seed gives the same calls.")


class ReplayRequest(SimulationRequest):
    replay: Path | None = Field(default=None, description="A folder of official files to play in order of time.")


class CallCounts(BaseModel):
    sent: int
    answered: int
    refused: int = Field(description="4xx, of ordinary calls.")
    failed: int = Field(description="5xx, or no answer.")
    not_sent: int = Field(description="Too many waited for their answer already.")
    by_use_case: dict[str, int]
    by_centre: dict[str, int]


class SimulationStatus(BaseModel):
    """State and statistics of a simulation, live while it runs."""

    id: str
    scenario: str
    title: str
    state: str = Field(description="preparing, running, ending, finished, stopped or failed")
    error: str
    asked_by: str
    started_at: datetime
    finished_at: datetime | None
    rate: float
    seconds: float
    speed: float
    seed: int
    use_cases: list[str]
    elapsed: float = Field(description="Seconds since the first call could come.")
    clock: datetime = Field(description="The simulated moment.")
    calls: CallCounts
    rate_now: float = Field(description="Calls sent per second over the last five seconds.")
    latency_ms: dict[str, float | None] = Field(description="From the moment a call was meant to be sent.")
    statuses: dict[str, int]
    sources: dict[str, float] = Field(description="Share of the answers by where they came from.")
    outcomes: dict[str, int]
    outcomes_waiting: int
    hostile: dict[str, int]
    live_error: dict[str, dict[str, dict[str, Any]]] = Field(
        description="Use case -> target -> metric, value and count, of answers whose outcome was reported."
    )
    latest_errors: list[str]


class SimulationList(BaseModel):
    scenarios: dict[str, str] = Field(description="Name -> title.")
    simulations: list[SimulationStatus] = Field(description="Newest first.")


DESCRIPTION = """Plays control rooms against the running platform: calls with the shape of day and week, outcomes,
bursts, changes of the world and hostile clients. All of it is marked as simulated. Only the platform's services may
call."""


def create_app(settings: SimulatorSettings) -> FastAPI:
    """Create the application.

    Raises:
        VigieError: the service token is missing.
    """
    token = require_service_token(settings.service_token)
    keys = None if settings.gateway_url is None else CentreKeyClient(settings.gateway_url, token)

    def make(plan: SimulationPlan, asked_by: str) -> Simulation:
        return Simulation(plan, settings, keys, asked_by=asked_by)

    desk = SimulationRunner(make, settings.simulator_together)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.stop_all()

    app = create_service_app(
        service="simulator",
        title="Vigie: simulator",
        docs="/docs",
        description=DESCRIPTION,
        lifespan=lifespan,
        service_token=token,
        service_callers=settings.service_callers,
        body_limit_kb=64,
    )
    app.include_router(_routes(desk, settings))
    app.state.desk = desk
    return app


SimulationUser = Annotated[Principal, Depends(admits("gateway", "cli"))]


def _routes(desk: SimulationRunner, settings: SimulatorSettings) -> APIRouter:
    router = APIRouter(prefix="/simulations", tags=["simulations"])
    own = dict(SERVICE)

    @router.post("", status_code=202, openapi_extra=own, summary="Start a simulation")
    async def start_simulation(asked: ReplayRequest, caller: SimulationUser) -> SimulationStatus:
        """Start a simulation; 409 if the maximum number of simulations is running."""
        if (asked.rate or 0) > settings.simulator_rate_limit:
            raise VigieError(
                f"{asked.rate:g} calls per second are too many.",
                expected=f"at most {settings.simulator_rate_limit:g}",
                action="Set VIGIE_SIMULATOR_RATE_LIMIT where that is meant.",
            )
        plan = make_plan(scenario.load_scenario(asked.scenario), **asked.model_dump(exclude={"scenario"}))
        return SimulationStatus.model_validate(desk.start(plan, caller.name).summary())

    @router.get("", openapi_extra=own, summary="What can be played, and what was")
    async def list_simulations(_: SimulationUser) -> SimulationList:
        titles = {name: scenario.load_scenario(name).title for name in scenario.list_scenarios()}
        states = [SimulationStatus.model_validate(each.summary()) for each in desk.listed()]
        return SimulationList(scenarios=titles, simulations=states)

    @router.get("/{id}", openapi_extra=own, summary="One simulation with its live figures")
    async def get_simulation(id: str, _: SimulationUser) -> SimulationStatus:
        return SimulationStatus.model_validate(desk.get(id).summary())

    @router.delete("/{id}", openapi_extra=own, summary="Stop a simulation")
    async def stop_simulation(id: str, _: SimulationUser) -> SimulationStatus:
        """Stop a simulation; nothing is sent after the response. A finished one keeps its final state."""
        return SimulationStatus.model_validate((await desk.stop(id)).summary())

    return router
