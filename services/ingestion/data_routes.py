"""``/sources/{use_case}`` and ``/retention``: what ingestion published, and how long things are kept."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from services.core.calls.settings import CallsSettings
from services.core.errors import NotFoundError
from services.core.jobs.queue import Queue
from services.core.jobs.states import State
from services.core.usecases import registry
from services.core.web.roles import SERVICE
from services.core.web.service_credential import ServiceCaller
from services.ingestion.published import last_successes, published_data
from services.ingestion.settings import IngestionSettings

_JOBS_LOOKED_AT = 100


def data_router(settings: IngestionSettings) -> APIRouter:
    router = APIRouter(tags=["data"])
    own = dict(SERVICE)

    @router.get("/sources/{use_case}", openapi_extra=own, summary="Files, tables, quarantine and sources of a use case")
    def sources(request: Request, use_case: str, _: ServiceCaller) -> dict[str, Any]:
        declared = registry.get(use_case)
        found = published_data(settings.home, declared)
        if found is None:
            raise NotFoundError(f"Nothing was ingested for {use_case} yet.", action="Start an ingestion.")
        queue: Queue = request.app.state.queue
        jobs = queue.newest(use_case=use_case, state=State.SUCCEEDED, limit=_JOBS_LOOKED_AT)
        return found | {"last_successes": last_successes(jobs)}

    @router.get("/retention", openapi_extra=own, summary="How long calls and jobs are kept")
    def retention(_: ServiceCaller) -> dict[str, Any]:
        """As housekeeping, which this service does, removes them."""
        calls = CallsSettings()
        return {
            "days": {name: calls.retention_days(name) for name in registry.names()},
            "pseudonymised": sorted(calls.pseudonymised),
            "jobs_days": settings.job_keep_days,
        }

    return router
