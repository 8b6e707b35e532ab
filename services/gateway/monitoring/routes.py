"""Routes of ``/admin/monitoring``, and of the retrainings and rollbacks that the drift service requests.

Without Airflow also the timer that starts monitoring runs."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from services.core import use_case_registry as declared
from services.core.auth.principal import Principal, Role
from services.core.errors import ConflictError, VigieError
from services.core.jobs.client import submit_job
from services.core.messages import render
from services.core.model_registry.version import CHAMPION
from services.core.steps import NO_SOURCE, drift_signal_asset
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import admits
from services.gateway.audit.service import RequestOrigin, request_origin_of
from services.gateway.container import GatewayContainer
from services.gateway.deps import Operator, Viewer, require_all_centres, require_use_case
from services.gateway.models.routes import ModelActions
from services.gateway.models.service import list_versions
from services.gateway.runs.orchestrator import RunOrchestrator
from services.gateway.runs.routes import IdempotencyKey
from services.gateway.runs.service import RunService
from services.gateway.service_client import JobClient

TIMER_SECONDS = 30.0

log = structlog.get_logger(__name__)


class JobTimer:
    """Starts a job at a fixed interval, on platforms without Airflow.

    Args:
        stages: client of the stage services.
        step: the job.
        hours: its interval.
        use_cases: what it is started for; by default every use case.
        options: its options.
        after: seconds until the first, for what has no hurry while a platform starts.
        needs: raises a ``VigieError`` while what the job of a use case needs is not there yet; the job waits for it.
    """

    def __init__(
        self,
        stages: JobClient,
        step: str,
        hours: float,
        *,
        use_cases: Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        after: float = 0.0,
        needs: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._stages, self._step, self._seconds, self._after = stages, step, hours * 3_600, after
        self._use_cases, self._options, self._needs = use_cases, dict(options or {}), needs

    async def run(self) -> None:
        """Run until cancelled. Each time slot has one job per use case, however many gateways request it."""
        done: dict[str, int] = {}
        await asyncio.sleep(self._after)
        while True:
            slot = int(time.time() // self._seconds)
            for use_case in self._use_cases or declared.names():
                if done.get(use_case) == slot:
                    continue
                try:
                    await asyncio.to_thread(self._needs, use_case)
                    request = submit_job(use_case, self._step, self._options, f"{self._step}-timer:{use_case}:{slot}")
                    await self._stages.call(self._step, request)
                except VigieError as error:
                    reason = str(error).splitlines()[0][:200]
                    log.info("a regular job waits", step=self._step, use_case=use_case, reason=reason)
                    continue
                done[use_case] = slot
            await asyncio.sleep(TIMER_SECONDS)


DRIFT_SERVICE = "drift"
DRIFT_PRINCIPAL = Principal("service", DRIFT_SERVICE, DRIFT_SERVICE, Role.ADMIN, "", None)
"""Actor of actions that the drift service starts by itself."""

RunId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
UseCaseName = Annotated[str, Path(max_length=64, pattern="^[a-z][a-z0-9_]*$")]
LimitQuery = Annotated[int, Query(ge=1, le=200)]


class _StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MonitoringRequest(_StrictRequest, json_schema_extra={"examples": [{"report": True, "act": False}]}):
    report: bool = Field(default=True, description="Make the HTML report too; it takes some seconds.")
    act: bool = Field(default=True, description="Start a retraining or a rollback where that is called for.")


class RetrainingRequest(_StrictRequest):
    use_case: str = Field(max_length=64)
    monitoring_run: str = Field(pattern="^[0-9a-f]{32}$", description="The same run starts one retraining.")
    reason: str = Field(max_length=4_000)


class AutomaticRollbackRequest(_StrictRequest):
    use_case: str = Field(max_length=64)
    version: int = Field(ge=1, description="The champion that is to go; another one is left alone.")
    reason: str = Field(max_length=4_000)


class RunStarted(BaseModel):
    id: str
    backend: str


def monitoring_router(gateway: GatewayContainer, runner: RunOrchestrator) -> APIRouter:
    router = APIRouter(tags=["monitoring"])
    stages = runner.stages

    @router.get("/admin/monitoring/runs/{run_id}", summary="One look at the calls, in full")
    async def get_monitoring_run(run_id: RunId, caller: Viewer) -> dict[str, Any]:
        found = await stages.get(DRIFT_SERVICE, f"/monitoring/runs/{run_id}")
        require_use_case(caller, found["use_case"])
        return found

    @router.get("/admin/monitoring/runs/{run_id}/report", summary="Evidently's report of it (HTML)")
    async def get_monitoring_report(run_id: RunId, caller: Viewer) -> Response:
        """404: the run has no report, or it was deleted after its retention."""
        found = await stages.get(DRIFT_SERVICE, f"/monitoring/runs/{run_id}")
        require_use_case(caller, found["use_case"])
        html = await stages.page(DRIFT_SERVICE, f"/monitoring/runs/{run_id}/report")
        # The report is an HTML page with scripts: the CSP lets it render itself and nothing else.
        policy = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        policy += "img-src data:; font-src data:"
        return Response(html, media_type="text/html", headers={"Content-Security-Policy": policy})

    @router.get("/admin/monitoring/{use_case}", summary="The newest look at a use case's calls")
    async def get_latest_monitoring_run(use_case: UseCaseName, caller: Viewer) -> dict[str, Any]:
        """Includes the centres whose outcomes are quarantined. 404: no monitoring run yet."""
        require_use_case(caller, declared.get(use_case).name)
        return await stages.get(DRIFT_SERVICE, f"/monitoring/{use_case}")

    @router.get("/admin/monitoring/{use_case}/runs", summary="The newest looks, in short")
    async def list_monitoring_runs(use_case: UseCaseName, caller: Viewer, limit: LimitQuery = 50) -> dict[str, Any]:
        require_use_case(caller, declared.get(use_case).name)
        return await stages.get(DRIFT_SERVICE, f"/monitoring/{use_case}/runs?limit={limit}")

    @router.post("/admin/monitoring/{use_case}/runs", summary="Look at the calls now", status_code=202)
    async def start_monitoring_run(
        request: Request,
        use_case: UseCaseName,
        caller: Operator,
        given: MonitoringRequest | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> dict[str, Any]:
        """Starts a monitoring job; its id is the id of the run. A retraining that follows is audited as the drift
        service's."""
        require_use_case(caller, declared.get(use_case).name)
        key = f"monitor:{caller.id}:{idempotency_key or uuid.uuid4().hex}"
        options = (given or MonitoringRequest()).model_dump()
        job = await stages.call("monitor", submit_job(use_case, "monitor", options, key, caller.name))
        await _record(gateway, "monitoring.started", caller, request_origin_of(request), use_case, job["id"])
        return job

    @router.post("/admin/monitoring/holds/{hold_id}/lift", summary="Believe a centre's held outcomes after all")
    async def lift_hold(request: Request, hold_id: Annotated[int, Path(ge=1)], caller: Operator) -> dict[str, Any]:
        """The outcomes become training rows with the next retraining; the centre is not quarantined again for thirty
        days."""
        require_all_centres(caller)
        found = await stages.post(DRIFT_SERVICE, f"/monitoring/holds/{hold_id}/lift", caller.name)
        await _record(gateway, "monitoring.hold_lifted", caller, request_origin_of(request), "", f"hold {hold_id}")
        return found

    @router.post("/admin/monitoring/holds/{hold_id}/end", summary="Believe a centre again from now on")
    async def end_hold(request: Request, hold_id: Annotated[int, Path(ge=1)], caller: Operator) -> dict[str, Any]:
        """For when the cause is fixed: outcomes received so far stay excluded from training."""
        require_all_centres(caller)
        found = await stages.post(DRIFT_SERVICE, f"/monitoring/holds/{hold_id}/end", caller.name)
        await _record(gateway, "monitoring.hold_ended", caller, request_origin_of(request), "", f"hold {hold_id}")
        return found

    router.include_router(_internal_router(gateway, runner))
    return router


def _internal_router(gateway: GatewayContainer, runner: RunOrchestrator) -> APIRouter:
    router = APIRouter(tags=["between services"], dependencies=[Depends(admits("drift"))])
    runs, actions = RunService(gateway, runner), ModelActions(gateway, runner.stages)

    @router.post("/internal/retrainings", openapi_extra=dict(SERVICE), summary="A retraining by signal")
    async def request_retraining(request: Request, given: RetrainingRequest) -> RunStarted:
        """Emits an asset event in Airflow, which starts `retrain_<use case>`, or starts a run of the gateway. 409 while
        promotions are frozen, or while another retraining of the use case is unfinished."""
        name = declared.get(given.use_case).name
        blocker = await runs.retraining_blocker(DRIFT_PRINCIPAL, name, given.monitoring_run)
        if blocker is not None:
            raise ConflictError(render(blocker, "en").removeprefix("No retraining: "))
        origin = request_origin_of(request)
        if runner.airflow is not None:
            extra = {"monitoring_run": given.monitoring_run, "reason": given.reason[:1_000]}
            event = await runner.airflow.emit(drift_signal_asset(name), extra)
            target = f"asset {drift_signal_asset(name)}"
            await _record(gateway, "retraining.signalled", DRIFT_PRINCIPAL, origin, name, target, given.reason)
            return RunStarted(id=f"asset-event-{event}", backend="airflow")
        await _record(
            gateway, "retraining.signalled", DRIFT_PRINCIPAL, origin, name, given.monitoring_run, given.reason
        )
        options = {"source": NO_SOURCE, "force": False, "require_approval": gateway.settings.require_approval}
        run, _ = await runs.start(
            DRIFT_PRINCIPAL, origin, "retrain", use_case=name, options=options, key=given.monitoring_run
        )
        return RunStarted(id=run.id, backend=run.backend)

    @router.post("/internal/rollbacks", openapi_extra=dict(SERVICE), summary="A new champion that does worse goes")
    async def request_rollback(request: Request, given: AutomaticRollbackRequest) -> RunStarted:
        """Idempotent per version. 409: the version is not the champion (any more)."""
        name = declared.get(given.use_case).name
        versions = await run_in_threadpool(list_versions, gateway.settings, name)
        champion = next((version.number for version in versions if CHAMPION in version.aliases), None)
        if champion != given.version:
            raise ConflictError(f"The champion of {name} is version {champion}, not {given.version}.")
        done = await actions.roll_back(
            DRIFT_PRINCIPAL,
            request_origin_of(request),
            name,
            reason=given.reason[:1_000],
            key=f"automatic:{name}:{given.version}",
        )
        return RunStarted(id=str(done.id), backend="stages")

    return router


async def _record(  # noqa: PLR0917
    gateway: GatewayContainer,
    action: str,
    by: Principal,
    origin: RequestOrigin,
    use_case: str,
    target: str,
    reason: str = "",
) -> None:
    entry = partial(gateway.record, origin, action, by=by, use_case=use_case, target=target, reason=reason[:500])
    await run_in_threadpool(entry)
