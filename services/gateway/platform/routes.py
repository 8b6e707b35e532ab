"""Routes of ``/admin/platform``, ``/admin/retention`` and ``/admin/simulations``, and API keys of simulated centres."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.core.auth.principal import Principal, Role
from services.core.errors import NotFoundError, UnavailableError, VigieError
from services.core.jobs.client import ServiceRequest
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import admits
from services.gateway.api_keys import service as api_keys_service
from services.gateway.audit.service import request_origin_of
from services.gateway.container import GatewayContainer
from services.gateway.deps import Admin, Operator, Viewer
from services.gateway.platform.schemas import PlatformStatus, RetentionPolicy
from services.gateway.platform.service import PlatformSettings, platform_components, probe_all
from services.gateway.service_client import JobClient, create_client
from services.gateway.settings import GatewaySettings
from services.gateway.users import service as users_service

KeyUser = Annotated[Principal, Depends(admits("simulator", "cli"))]
"""Who may have keys of simulated centres."""


def platform_router(settings: GatewaySettings, stages: JobClient) -> APIRouter:
    router = APIRouter(tags=["the platform"])
    places = PlatformSettings.model_validate({"VIGIE_HOME": settings.home_path})

    @router.get("/admin/platform", summary="The platform's parts: how they are, and their pages")
    async def get_platform(caller: Viewer) -> PlatformStatus:
        """Components whose pages the caller may open, probed now. A component that does not answer in time is down."""
        parts = tuple(part for part in platform_components(settings, places) if caller.role.covers(part.role))
        return PlatformStatus(parts=await probe_all(parts, places.platform_health_seconds))

    @router.get("/admin/retention", summary="How long calls and jobs are kept")
    async def get_retention(caller: Admin) -> RetentionPolicy:  # noqa: ARG001 - the role is what counts
        """As reported by the service that applies it. 503: it does not answer."""
        return RetentionPolicy.model_validate(await stages.get("ingestion", "/retention"))

    return router


KEY_ROLE = Role.DISPATCHER
MAX_KEY_MINUTES = 25 * 60

SimulatedCentre = Annotated[str, Field(pattern=r"^simulated-[a-z0-9-]{1,40}$")]


class SimulationRequest(BaseModel):
    """Omitted fields take the scenario's values."""

    model_config = ConfigDict(extra="forbid")

    scenario: str = Field(max_length=60, examples=["storm"])
    rate: float | None = Field(default=None, gt=0, le=100_000, description="Calls per second, on average.")
    seconds: float | None = Field(default=None, gt=0, le=86_400, description="How long calls come.")
    speed: float | None = Field(default=None, gt=0, le=1_000_000, description="Simulated seconds in one second.")
    use_cases: list[str] = Field(default=[], max_length=50, description="Only these; empty: as the scenario says.")


class SimulatorKeysRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    centres: list[SimulatedCentre] = Field(min_length=1, max_length=20)
    minutes: int = Field(ge=1, le=MAX_KEY_MINUTES)


class KeyRevocationRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(max_length=32)]] = Field(min_length=1, max_length=20)


def simulation_router(gateway: GatewayContainer, simulator: SimulatorClient) -> APIRouter:
    router = APIRouter(tags=["simulations"])

    @router.post("/admin/simulations", summary="Start a simulation", status_code=202)
    async def start_simulation(request: Request, given: SimulationRequest, caller: Operator) -> dict[str, Any]:
        """All its requests are marked as simulated. 409: a simulation is running already; 503: no simulator."""
        found = await simulator.ask("POST", "", caller, json=given.model_dump(exclude_none=True))
        simulator.record(request, caller, "simulation.started", found)
        return found

    @router.get("/admin/simulations", summary="Scenarios, and what was played, newest first")
    async def list_simulations(caller: Operator) -> dict[str, Any]:
        return await simulator.ask("GET", "", caller)

    @router.get("/admin/simulations/{simulation_id}", summary="One simulation with its live figures")
    async def get_simulation(simulation_id: str, caller: Operator) -> dict[str, Any]:
        return await simulator.ask("GET", f"/{_check_simulation_id(simulation_id)}", caller)

    @router.delete("/admin/simulations/{simulation_id}", summary="Stop a simulation")
    async def stop_simulation(request: Request, simulation_id: str, caller: Operator) -> dict[str, Any]:
        found = await simulator.ask("DELETE", f"/{_check_simulation_id(simulation_id)}", caller)
        simulator.record(request, caller, "simulation.stopped", found)
        return found

    internal = APIRouter(tags=["between services"])

    @internal.post("/internal/simulator/keys", openapi_extra=dict(SERVICE), summary="Keys of simulated centres")
    def make_simulator_keys(request: Request, given: SimulatorKeysRequest, caller: KeyUser) -> dict[str, Any]:
        """Issues short-lived keys for simulated centres, whose names mark them as such. Missing centres are created."""
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            made = []
            for centre in dict.fromkeys(given.centres):
                users_service.ensure_centre(session, centre, centre.replace("-", " ").capitalize())
                made.append(
                    api_keys_service.insert_api_key(
                        session,
                        name=f"simulator {centre}",
                        role=KEY_ROLE,
                        centre=centre,
                        use_cases=None,
                        expires_at=now + timedelta(minutes=given.minutes),
                        created_by="simulator",
                        now=now,
                    )
                )
            target = "keys " + " ".join(key.row.id for key in made)
            gateway.trail.add(session, request_origin_of(request), "simulator.keys_created", by=caller, target=target)
        gateway.access.renew()
        return {"keys": [{"centre": key.row.centre, "id": key.row.id, "text": key.text} for key in made]}

    @internal.delete("/internal/simulator/keys", openapi_extra=dict(SERVICE), summary="End them", status_code=204)
    def end_keys(request: Request, given: KeyRevocationRequest, caller: KeyUser) -> Response:
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            for key_id in given.ids:
                row = api_keys_service.get_api_key(session, key_id)
                if not row.centre.startswith("simulated-"):
                    raise VigieError(f"The key {key_id} is not one of the simulator's.")
                api_keys_service.revoke_api_key(session, key_id, now)
            target = "keys " + " ".join(given.ids)
            gateway.trail.add(session, request_origin_of(request), "simulator.keys_revoked", by=caller, target=target)
        gateway.access.renew()
        return Response(status_code=204)

    router.include_router(internal)
    return router


class SimulatorClient:
    """HTTP client of the simulator."""

    def __init__(self, gateway: GatewayContainer, token: SecretStr) -> None:
        url = gateway.settings.simulator_url
        self._gateway = gateway
        self._backend = None if url is None else create_client("simulator", url, gateway.counters, token)

    async def ask(
        self, method: str, path: str, caller: Principal, json: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Call the simulator and return the JSON of its response.

        Raises:
            UnavailableError: there is no simulator, or it does not answer.
        """
        if self._backend is None:
            raise UnavailableError("This platform has no simulator.", action="Set VIGIE_SIMULATOR_URL.")
        request = ServiceRequest(method, f"/simulations{path}", json=json, on_behalf_of=caller.name)
        return dict(await self._backend.call(request))

    async def close(self) -> None:
        if self._backend is not None:
            await self._backend.close()

    def record(self, request: Request, caller: Principal, action: str, found: dict[str, Any]) -> None:
        target = f"simulation {found['id']}"
        origin = request_origin_of(request)
        self._gateway.record(origin, action, by=caller, target=target, scenario=str(found["scenario"]))


def _check_simulation_id(simulation_id: str) -> str:
    """Validate a simulation's id.

    Raises:
        NotFoundError: no simulation can have this id.
    """
    if not simulation_id.isalnum() or len(simulation_id) > 40:
        raise NotFoundError("There is no such simulation.", action="GET /admin/simulations lists them.")
    return simulation_id
