"""``/monitoring``: what the runs found, for the platform's services."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from sqlalchemy import Engine

from services.core.errors import NotFoundError
from services.core.home import Home
from services.core.monitoring.tables import MonitoringRun
from services.core.usecases import registry as declared
from services.core.web.roles import SERVICE
from services.core.web.service_credential import ServiceCaller
from services.drift import history, report

_HEADLINES = ("id", "started_at", "finished_at", "window", "model_version", "verdict", "reasons", "action", "report")


def monitoring_router(engine: Engine, home: Home) -> APIRouter:
    router = APIRouter(tags=["monitoring"])
    own = dict(SERVICE)

    @router.get("/monitoring/runs/{run_id}", openapi_extra=own, summary="One run in full")
    def one(run_id: str, _: ServiceCaller) -> dict[str, Any]:
        return shown(_run(engine, run_id))

    @router.get("/monitoring/runs/{run_id}/report", openapi_extra=own, summary="Evidently's report of a run (HTML)")
    def html(run_id: str, _: ServiceCaller) -> Response:
        run = _run(engine, run_id)
        path = report.path_of(home, run.use_case, run.id)
        if not run.report or not path.is_file():
            raise NotFoundError("This run has no report, or it is no longer kept.", action="Start a new run.")
        return FileResponse(path, media_type="text/html")

    @router.get("/monitoring/{use_case}", openapi_extra=own, summary="The newest run, and outcomes that are held back")
    def latest(use_case: str, _: ServiceCaller) -> dict[str, Any]:
        declared.get(use_case)
        found = history.before(engine, use_case, 1)
        if not found:
            raise NotFoundError(f"Nobody has looked at the calls of {use_case} yet.", action="Start a run.")
        return shown(found[0]) | {"holds": _holds(engine, use_case)}

    @router.get("/monitoring/{use_case}/runs", openapi_extra=own, summary="The newest runs, in short")
    def runs(use_case: str, _: ServiceCaller, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> dict[str, Any]:
        declared.get(use_case)
        found = [shown(run) for run in history.before(engine, use_case, limit)]
        short = [
            {name: run[name] for name in _HEADLINES}
            | {"drift": {"share": run["drift"]["share"]}, "quality": _errors(run)}
            for run in found
        ]
        return {"runs": short}

    @router.post("/monitoring/holds/{hold_id}/lift", openapi_extra=own, summary="Believe held outcomes after all")
    def lift(hold_id: int, caller: ServiceCaller) -> dict[str, Any]:
        if not history.lift(engine, hold_id, caller.name):
            raise NotFoundError("There is no such hold in force.")
        return {"id": hold_id, "lifted_by": caller.name}

    @router.post("/monitoring/holds/{hold_id}/end", openapi_extra=own, summary="Believe what arrives from now on")
    def end(hold_id: int, _: ServiceCaller) -> dict[str, Any]:
        if not history.end(engine, hold_id):
            raise NotFoundError("There is no such hold that goes on.")
        return {"id": hold_id}

    return router


def shown(run: MonitoringRun) -> dict[str, Any]:
    """The run's summary; whether its report is still there can change."""
    return run.summary | {"report": run.report}


def _run(engine: Engine, run_id: str) -> MonitoringRun:
    found = history.one(engine, run_id)
    if found is None:
        raise NotFoundError("There is no such run.", action="GET /monitoring/{use_case}/runs lists them.")
    return found


def _errors(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Each target's loss over all calls of the champion."""
    losses = {"mae", "brier", "log_loss"}
    return [
        entry
        for entry in run["quality"]
        if entry["metric"] in losses
        and entry["version"] == run["model_version"]
        and not {"centre", "area", "hour"} & set(entry)
    ]


def _holds(engine: Engine, use_case: str) -> list[dict[str, Any]]:
    return [
        {
            "id": hold.id,
            "centre": hold.centre,
            "code": hold.code,
            "since": hold.since.isoformat(),
            "until": None if hold.until is None else hold.until.isoformat(),
            "en": hold.reason["en"],
            "fr": hold.reason["fr"],
            "lifted_at": None if hold.lifted_at is None else hold.lifted_at.isoformat(),
            "lifted_by": hold.lifted_by,
        }
        for hold in history.holds_of(engine, use_case)
    ]
