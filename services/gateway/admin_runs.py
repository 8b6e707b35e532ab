"""``/admin/ingestions``, ``/admin/retrainings`` and ``/admin/jobs``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from services.gateway.callers import Operator
from services.gateway.gateway import Gateway
from services.gateway.run_desk import RunDesk
from services.gateway.run_schemas import Jobs, NewIngestion, NewRetraining, Run, Runs
from services.gateway.runner import Runner
from services.gateway.trail import origin_of

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=8, max_length=200, description="The same key again answers with the same run."),
]
UseCase = Annotated[str | None, Query(max_length=120)]
Limit = Annotated[int, Query(ge=1, le=200)]


def runs_router(gateway: Gateway, runner: Runner) -> APIRouter:
    router = APIRouter(tags=["ingesting and retraining"])
    desk = RunDesk(gateway, runner)

    @router.post("/admin/ingestions", summary="Fetch and validate new files", status_code=202)
    async def ingest(
        request: Request,
        response: Response,
        given: NewIngestion,
        caller: Operator,
        idempotency_key: IdempotencyKey = None,
    ) -> Run:
        """In Airflow where there is one, else by the stage services themselves. 503: the backend does not
        answer, and nothing was started."""
        options = {"source": given.source, "fresh": given.fresh}
        run, new = await desk.start(
            caller, origin_of(request), "ingest", use_case=given.use_case, options=options, key=idempotency_key
        )
        response.status_code = 202 if new else 200
        return run

    @router.post("/admin/retrainings", summary="Train, judge and promote if it is better", status_code=202)
    async def retrain(
        request: Request,
        response: Response,
        given: NewRetraining,
        caller: Operator,
        idempotency_key: IdempotencyKey = None,
    ) -> Run:
        """All steps in order; the gate decides. With `require_approval` the run waits after the gate."""
        options = given.model_dump(exclude={"use_case"}, exclude_none=True)
        run, new = await desk.start(
            caller, origin_of(request), "retrain", use_case=given.use_case, options=options, key=idempotency_key
        )
        response.status_code = 202 if new else 200
        return run

    @router.get("/admin/ingestions", summary="Ingestions, newest first")
    async def ingestions(_: Operator, use_case: UseCase = None, limit: Limit = 50) -> Runs:
        return await desk.listed("ingest", use_case, limit)

    @router.get("/admin/retrainings", summary="Retrainings, newest first")
    async def retrainings(_: Operator, use_case: UseCase = None, limit: Limit = 50) -> Runs:
        """Those that were started here, and Airflow's own."""
        return await desk.listed("retrain", use_case, limit)

    @router.get("/admin/retrainings/{run_id}", summary="One retraining")
    @router.get("/admin/ingestions/{run_id}", summary="One ingestion")
    async def one(run_id: str, _: Operator) -> Run:
        return await desk.one(run_id)

    @router.post("/admin/retrainings/{run_id}/approve", summary="Let a waiting run promote its model")
    async def approve(request: Request, run_id: str, caller: Operator) -> Run:
        return await desk.answer(caller, origin_of(request), run_id, approve=True)

    @router.post("/admin/retrainings/{run_id}/reject", summary="End a waiting run without a promotion")
    async def reject(request: Request, run_id: str, caller: Operator) -> Run:
        return await desk.answer(caller, origin_of(request), run_id, approve=False)

    @router.get("/admin/jobs", summary="The newest jobs of the stage services")
    async def jobs(
        _: Operator,
        use_case: UseCase = None,
        state: Annotated[str | None, Query(max_length=40)] = None,
        limit: Limit = 50,
    ) -> Jobs:
        found, silent = await runner.stages.newest(use_case, state, limit)
        return Jobs(jobs=found, silent=silent)

    return router
