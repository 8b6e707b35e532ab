"""``/admin/data``: what ingestion and preprocessing published of a use case, asked of them now."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from services.core.errors import NotFoundError, UnavailableError
from services.core.usecases import registry as declared
from services.gateway.callers import Operator, Viewer
from services.gateway.reading_schemas import DataState
from services.gateway.rights import require_use_case
from services.gateway.stages import Stages


def data_router(stages: Stages) -> APIRouter:
    router = APIRouter(tags=["data"])

    @router.get("/admin/data/{use_case}", summary="Sources, tables, quarantine and examples of a use case")
    async def state(use_case: str, caller: Operator) -> DataState:
        """With the first refused rows of each reason, as they stand in the files."""
        require_use_case(caller, declared.get(use_case).name)
        silent: dict[str, str] = {}

        async def told(service: str, path: str) -> dict[str, Any] | None:
            try:
                return await stages.tell(service, path)
            except NotFoundError:
                return None
            except UnavailableError as error:
                silent[service] = error.problem
                return None

        raw = await told("ingestion", f"/sources/{use_case}")
        examples = await told("preprocessing", f"/examples/{use_case}")
        return DataState(use_case=use_case, raw=raw, examples=examples, silent=silent)

    @router.get("/admin/data/{use_case}/profile", summary="A picture of a use case's training data")
    async def profile(use_case: str, caller: Viewer) -> dict[str, Any]:
        """Counts and figures of groups, made by preprocessing; no rows. 404: there are no examples yet."""
        require_use_case(caller, declared.get(use_case).name)
        return await stages.tell("preprocessing", f"/examples/{use_case}/profile")

    return router
