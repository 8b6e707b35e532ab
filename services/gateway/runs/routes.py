"""Routes of ``/admin/ingestions``, ``/admin/retrainings``, ``/admin/jobs`` and ``/admin/data``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from services.core import use_case_registry as declared
from services.core.auth.principal import Principal
from services.core.errors import NotFoundError, UnavailableError
from services.core.jobs.client import cancel_job, retry_job
from services.core.steps import GLOBAL_STEPS
from services.gateway.audit.service import RequestOrigin, request_origin_of
from services.gateway.container import GatewayContainer
from services.gateway.deps import Operator, Viewer, require_all_centres, require_use_case
from services.gateway.runs.orchestrator import RunOrchestrator
from services.gateway.runs.schemas import (
    DataState,
    JobList,
    Run,
    RunList,
    StartIngestionRequest,
    StartRetrainingRequest,
)
from services.gateway.runs.service import RunService
from services.gateway.service_client import JobClient

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=8, max_length=200, description="The same key again answers with the same run."),
]
UseCaseQuery = Annotated[str | None, Query(max_length=120)]
FolderQuery = Annotated[str, Query(max_length=500)]
PREVIEW_PATIENCE = 120.0
"""Seconds for which the gateway waits for the check of a folder."""
LimitQuery = Annotated[int, Query(ge=1, le=200)]
_KNOWN_RUN: dict[int | str, dict[str, Any]] = {
    200: {"model": Run, "description": "The same Idempotency-Key started this run before."}
}


def runs_router(gateway: GatewayContainer, runner: RunOrchestrator) -> APIRouter:
    router = APIRouter(tags=["ingesting and retraining"])
    runs = RunService(gateway, runner)

    @router.post("/admin/ingestions", summary="Fetch and validate new files", status_code=202, responses=_KNOWN_RUN)
    async def start_ingestion(
        request: Request,
        response: Response,
        given: StartIngestionRequest,
        caller: Operator,
        idempotency_key: IdempotencyKey = None,
    ) -> Run:
        """Runs in Airflow if configured, else as jobs of the stage services. 503: the backend does not answer, and
        nothing was started."""
        options: dict[str, Any] = {"source": given.source, "fresh": given.fresh}
        options |= {"confirm": given.confirm} if given.confirm else {}
        run, new = await runs.start(
            caller, request_origin_of(request), "ingest", use_case=given.use_case, options=options, key=idempotency_key
        )
        response.status_code = 202 if new else 200
        return run

    @router.post(
        "/admin/retrainings",
        summary="Train, judge and promote if it is better",
        status_code=202,
        responses=_KNOWN_RUN,
    )
    async def start_retraining(
        request: Request,
        response: Response,
        given: StartRetrainingRequest,
        caller: Operator,
        idempotency_key: IdempotencyKey = None,
    ) -> Run:
        """Runs all steps in order; the gate decides about promotion. With `require_approval` the run waits after the
        gate. Operators of one centre may start one, since the gate judges it on everybody's data."""
        options = given.model_dump(exclude={"use_case"}, exclude_none=True)
        run, new = await runs.start(
            caller, request_origin_of(request), "retrain", use_case=given.use_case, options=options, key=idempotency_key
        )
        response.status_code = 202 if new else 200
        return run

    @router.get("/admin/ingestions", summary="Ingestions, newest first")
    async def list_ingestions(caller: Operator, use_case: UseCaseQuery = None, limit: LimitQuery = 50) -> RunList:
        return await runs.listed(caller, "ingest", use_case, limit)

    @router.get("/admin/retrainings", summary="Retrainings, newest first")
    async def list_retrainings(caller: Operator, use_case: UseCaseQuery = None, limit: LimitQuery = 50) -> RunList:
        """Runs started here and Airflow's own, of the use cases that the caller may use. `requested_by` is blank for
        people of other centres."""
        return await runs.listed(caller, "retrain", use_case, limit)

    @router.get("/admin/retrainings/{run_id}", operation_id="get_retraining", summary="One retraining")
    @router.get("/admin/ingestions/{run_id}", operation_id="get_ingestion", summary="One ingestion")
    async def one(run_id: str, caller: Operator) -> Run:
        return await runs.one(caller, run_id)

    @router.post("/admin/retrainings/{run_id}/approve", summary="Let a waiting run promote its model")
    async def approve_retraining(request: Request, run_id: str, caller: Operator) -> Run:
        """Requires an operator of all centres."""
        require_all_centres(caller)
        return await runs.answer(caller, request_origin_of(request), run_id, approve=True)

    @router.post("/admin/retrainings/{run_id}/reject", summary="End a waiting run without a promotion")
    async def reject_retraining(request: Request, run_id: str, caller: Operator) -> Run:
        """Requires an operator of all centres."""
        require_all_centres(caller)
        return await runs.answer(caller, request_origin_of(request), run_id, approve=False)

    @router.get("/admin/jobs", summary="The newest jobs of the stage services")
    async def list_jobs(
        caller: Operator,
        use_case: UseCaseQuery = None,
        state: Annotated[str | None, Query(max_length=40)] = None,
        limit: LimitQuery = 50,
    ) -> JobList:
        found, silent = await runner.stages.newest(use_case, state, limit)
        return JobList(jobs=[job for job in found if caller.can_call(str(job["use_case"]))], silent=silent)

    return router


JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
AUDIT_VERBS: dict[str, str] = {"cancel": "cancelled", "retry": "retried"}


def jobs_router(gateway: GatewayContainer, runner: RunOrchestrator) -> APIRouter:
    router = APIRouter(tags=["ingesting and retraining"])

    @router.get("/admin/jobs/{job_id}", summary="One job, with its progress and the end of its log")
    async def get_job(job_id: JobId, caller: Operator) -> dict[str, Any]:
        job = await runner.stages.find(job_id)
        _require_job_access(caller, job)
        return job

    @router.post("/admin/jobs/{job_id}/cancel", operation_id="cancel_job", summary="Cancel a job", status_code=202)
    async def cancel_one(request: Request, job_id: JobId, caller: Operator) -> dict[str, Any]:
        """A queued job ends at once, a running one within seconds; nothing of it is published. The run that it belongs
        to ends too."""
        return await act("cancel", request, job_id, caller)

    @router.post(
        "/admin/jobs/{job_id}/retry",
        operation_id="retry_job",
        summary="Run a job again that did not succeed",
        status_code=202,
    )
    async def retry_one(request: Request, job_id: JobId, caller: Operator) -> dict[str, Any]:
        """Repeats this step only: a run that ended with it does not resume. 409: the job has succeeded."""
        return await act("retry", request, job_id, caller)

    async def act(word: Literal["cancel", "retry"], request: Request, job_id: str, caller: Principal) -> dict[str, Any]:
        job = await runner.stages.find(job_id)
        _require_job_access(caller, job)
        # Recorded before the action: it is in the log even if the response is lost.
        await run_in_threadpool(record, AUDIT_VERBS[word], request_origin_of(request), job, caller)
        change = cancel_job if word == "cancel" else retry_job
        return await runner.stages.call(str(job["step"]), change(job_id, caller.name))

    def record(word: str, origin: RequestOrigin, job: dict[str, Any], caller: Principal) -> None:
        target = f"job {job['id']} ({job['step']})"
        gateway.record(origin, f"job.{word}", by=caller, use_case=job["use_case"], target=target)

    return router


def _require_job_access(caller: Principal, job: dict[str, Any]) -> None:
    """Check that the caller may act on a job.

    Raises:
        HttpError: 403, the job is for another use case than the caller's, or for all and the caller is restricted.
    """
    if job["step"] in GLOBAL_STEPS:
        require_all_centres(caller)
    else:
        require_use_case(caller, str(job["use_case"]))


def data_router(stages: JobClient) -> APIRouter:
    router = APIRouter(tags=["data"])

    @router.get("/admin/data/{use_case}", summary="Sources, tables, quarantine and examples of a use case")
    async def get_data_state(use_case: str, caller: Operator) -> DataState:
        """Includes the first rejected rows of each reason, verbatim from the files."""
        require_use_case(caller, declared.get(use_case).name)
        silent: dict[str, str] = {}

        async def ask(service: str, path: str) -> dict[str, Any] | None:
            try:
                return await stages.get(service, path)
            except NotFoundError:
                return None
            except UnavailableError as error:
                silent[service] = error.problem
                return None

        raw = await ask("ingestion", f"/sources/{use_case}")
        examples = await ask("preprocessing", f"/examples/{use_case}")
        return DataState(use_case=use_case, raw=raw, examples=examples, silent=silent)

    @router.get("/admin/data/{use_case}/preview", summary="What would be understood of a folder's files")
    async def preview_files(use_case: str, caller: Operator, folder: FolderQuery = "") -> dict[str, Any]:
        """Reads the folder as an ingestion would, with five rows of each file, and stores nothing. Without a folder
        the one of dropped files. 503: it takes too long, or another folder is being checked."""
        require_use_case(caller, declared.get(use_case).name)
        parameters = {"folder": folder} if folder else None
        return await stages.get("ingestion", f"/preview/{use_case}", params=parameters, patience=PREVIEW_PATIENCE)

    @router.get("/admin/data/{use_case}/profile", summary="A picture of a use case's training data")
    async def get_data_profile(use_case: str, caller: Viewer) -> dict[str, Any]:
        """Aggregates by group, computed by preprocessing; no rows. 404: there are no examples yet."""
        require_use_case(caller, declared.get(use_case).name)
        return await stages.get("preprocessing", f"/examples/{use_case}/profile")

    return router
