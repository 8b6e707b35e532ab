"""Routes under ``/jobs``: the HTTP interface of the stage services."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from services.core import use_case_registry
from services.core.auth.principal import Principal
from services.core.headers import NEW_JOB_HEADER
from services.core.jobs.options import OPTIONS
from services.core.jobs.queue import JobQueue
from services.core.jobs.tables import Job, JobState
from services.core.jobs.worker import JobWorker
from services.core.steps import ALL_USE_CASES, GLOBAL_STEPS, jobs_of_service
from services.core.web.authentication import SERVICE
from services.core.web.errors import HttpError, error_detail, http_error, safe_field_name
from services.core.web.service_auth import admits

Orchestrator = Annotated[Principal, Depends(admits("gateway", "airflow"))]
POLL_SECONDS = 0.4
MAX_WAIT_SECONDS = 30


class JobRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    use_case: str = Field(max_length=120, description="A use case, or all for a job that is for every one.")
    step: str = Field(max_length=40)
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the step.")
    idempotency_key: str = Field(
        min_length=8,
        max_length=200,
        pattern=r"^[A-Za-z0-9._:+/~-]+$",
        description="The same key never runs twice: sent again, it answers with the job that it stands for.",
    )


class JobError(BaseModel):
    problem: str
    expected: str
    action: str


class JobResponse(BaseModel):
    id: str
    service: str
    use_case: str
    step: str
    state: JobState
    options: dict[str, Any]
    progress: list[str]
    log_tail: str = Field(description="The end of what the job's processes printed.")
    result: dict[str, Any] | None
    error: JobError | None
    idempotency_key: str
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int = Field(description="How often it was started.")

    @classmethod
    def of(cls, job: Job) -> JobResponse:
        return cls.model_validate(job, from_attributes=True)


JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def create_job_router(service: str, queue: JobQueue, worker: JobWorker) -> APIRouter:
    """Create the job routes of one service; all of them admit what orchestrates them."""
    router = APIRouter(prefix="/jobs", tags=["jobs"])
    steps = jobs_of_service(service)
    own = dict(SERVICE)

    @router.post("", status_code=202, openapi_extra=own, summary="Ask for a job")
    def start_job(asked: JobRequest, caller: Orchestrator, response: Response) -> JobResponse:
        options = _validated_options(asked, steps)
        job, new = queue.submit(
            asked.use_case,
            asked.step,
            options,
            asked.idempotency_key,
            requested_by=caller.name,
            asked_by=caller.id,
        )
        if new:
            worker.wake()
        response.headers["Location"] = f"/jobs/{job.id}"
        response.headers[NEW_JOB_HEADER] = "yes" if new else "no"
        return JobResponse.of(job)

    @router.get("", openapi_extra=own, summary="The newest jobs")
    def list_jobs(
        _: Orchestrator,
        use_case: Annotated[str | None, Query(max_length=120)] = None,
        state: JobState | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> list[JobResponse]:
        return [JobResponse.of(job) for job in queue.newest(use_case=use_case, state=state, limit=limit)]

    @router.get("/{id}", openapi_extra=own, summary="A job; with wait, as soon as it has ended")
    async def get_job(
        request: Request,
        _: Orchestrator,
        id: JobId,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for its end.")] = 0.0,
    ) -> JobResponse:
        until = time.monotonic() + wait
        while True:
            job = await run_in_threadpool(queue.get, id)
            left = until - time.monotonic()
            if job.state.final or left <= 0 or request.app.state.stopping.is_set():
                return JobResponse.of(job)
            await asyncio.sleep(min(POLL_SECONDS, left))

    @router.delete("/{id}", status_code=202, openapi_extra=own, summary="Cancel a job")
    def cancel_job(_: Orchestrator, id: JobId) -> JobResponse:
        job = queue.cancel(id)
        worker.wake()
        return JobResponse.of(job)

    @router.post("/{id}/retry", status_code=202, openapi_extra=own, summary="Run a job again that did not succeed")
    def retry_job(_: Orchestrator, id: JobId) -> JobResponse:
        job = queue.retry(id)
        worker.wake()
        return JobResponse.of(job)

    return router


def _validated_options(asked: JobRequest, steps: tuple[str, ...]) -> dict[str, Any]:
    """Validate the options and add their defaults.

    Raises:
        HttpError: 422, unknown step, use case or option.
    """
    if asked.step not in steps:
        raise http_error(422, "step", "This service has no such step.", field="step", allowed=", ".join(steps))
    names = (ALL_USE_CASES,) if asked.step in GLOBAL_STEPS else use_case_registry.names()
    if asked.use_case not in names:
        raise http_error(
            422, "use_case", "There is no such use case for this step.", field="use_case", allowed=", ".join(names)
        )
    try:
        return OPTIONS[asked.step].model_validate(asked.options).model_dump(mode="json")
    except ValidationError as error:
        known = ", ".join(OPTIONS[asked.step].model_fields) or "no options"
        raise HttpError(
            422,
            [
                error_detail(
                    item["type"],
                    item["msg"].removeprefix("Value error, "),
                    field=".".join(["options", *(safe_field_name(part) for part in item["loc"])]),
                    allowed=known if item["type"] == "extra_forbidden" else "",
                )
                for item in error.errors(include_url=False, include_input=False, include_context=False)
            ],
        ) from None
