"""``/admin/jobs/{id}``: one job with its log; cancelling it, running it again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool

from services.core.access.caller import Caller
from services.core.steps import FOR_ALL
from services.gateway.callers import Operator
from services.gateway.gateway import Gateway
from services.gateway.rights import require_all_centres, require_use_case
from services.gateway.runner import Runner
from services.gateway.trail import Origin, origin_of

JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
WORDS: dict[str, str] = {"cancel": "cancelled", "retry": "retried"}


def jobs_router(gateway: Gateway, runner: Runner) -> APIRouter:
    router = APIRouter(tags=["ingesting and retraining"])

    @router.get("/admin/jobs/{job_id}", summary="One job, with its progress and the end of its log")
    async def one(job_id: JobId, caller: Operator) -> dict[str, Any]:
        job = await runner.stages.find(job_id)
        _require(caller, job)
        return job

    @router.post("/admin/jobs/{job_id}/cancel", summary="Cancel a job", status_code=202)
    async def cancel(request: Request, job_id: JobId, caller: Operator) -> dict[str, Any]:
        """One that waits ends at once, one that runs within seconds; nothing of it is published. A run that it
        belongs to ends with it."""
        return await act("cancel", request, job_id, caller)

    @router.post("/admin/jobs/{job_id}/retry", summary="Run a job again that did not succeed", status_code=202)
    async def retry(request: Request, job_id: JobId, caller: Operator) -> dict[str, Any]:
        """This step alone: a run that ended with it does not go on by itself. 409: it has succeeded."""
        return await act("retry", request, job_id, caller)

    async def act(word: Literal["cancel", "retry"], request: Request, job_id: str, caller: Caller) -> dict[str, Any]:
        job = await runner.stages.find(job_id)
        _require(caller, job)
        # Written before: an action whose answer is lost is in the log all the same.
        await run_in_threadpool(tell, WORDS[word], origin_of(request), job, caller)
        change = runner.stages.cancel if word == "cancel" else runner.stages.retry
        return await change(str(job["step"]), job_id, caller.name)

    def tell(word: str, origin: Origin, job: dict[str, Any], caller: Caller) -> None:
        with gateway.transaction() as session:
            target = f"job {job['id']} ({job['step']})"
            gateway.trail.add(session, origin, f"job.{word}", by=caller, use_case=job["use_case"], target=target)

    return router


def _require(caller: Caller, job: dict[str, Any]) -> None:
    """
    Raises:
        RefusedError: 403, the job is for another use case than the caller's, or for all and the caller is not.
    """
    if job["step"] in FOR_ALL:
        require_all_centres(caller)
    else:
        require_use_case(caller, str(job["use_case"]))
