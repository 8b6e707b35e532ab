"""``/admin/models``: what there is, promoting by hand and rolling back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request

from services.core.access import freeze
from services.core.registry.version import CHAMPION
from services.core.usecases import registry as declared
from services.gateway.callers import Admin, Viewer
from services.gateway.gateway import Gateway
from services.gateway.model_actions import ModelActions
from services.gateway.models import described, versions_of
from services.gateway.rights import require_use_case
from services.gateway.run_schemas import ModelAction, Models, Promotion, Rollback
from services.gateway.runner import Runner
from services.gateway.trail import origin_of

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=8, max_length=120, pattern=r"^[A-Za-z0-9._:+/~-]+$", description="The same key acts once."),
]


def models_router(gateway: Gateway, runner: Runner) -> APIRouter:
    router = APIRouter(tags=["models"])
    actions = ModelActions(gateway, runner.stages)

    @router.get("/admin/models/{use_case}", summary="A use case's versions, aliases and metrics")
    def models(use_case: str, caller: Viewer) -> Models:
        require_use_case(caller, declared.get(use_case).name)
        versions = versions_of(gateway.settings, use_case)
        return Models(
            use_case=use_case,
            champion=next((version.number for version in versions if CHAMPION in version.aliases), None),
            frozen=freeze.frozen(gateway.engine) is not None,
            versions=[described(version) for version in versions],
        )

    @router.post("/admin/models/{use_case}/promote", summary="Make a version the champion by hand")
    async def promote(
        request: Request, use_case: str, given: Promotion, caller: Admin, idempotency_key: IdempotencyKey = None
    ) -> ModelAction:
        """Past the gate, which is why it takes an administrator. 409 while promotions are frozen."""
        require_use_case(caller, declared.get(use_case).name)
        return await actions.promote(
            caller, origin_of(request), use_case, given.version, reason=given.reason, key=idempotency_key
        )

    @router.post("/admin/models/{use_case}/rollback", summary="Make the previous champion serve again")
    async def roll_back(
        request: Request, use_case: str, given: Rollback, caller: Admin, idempotency_key: IdempotencyKey = None
    ) -> ModelAction:
        """By the training service directly, without Airflow; also while promotions are frozen. Send an
        `Idempotency-Key`, so that a request that is repeated does not go back twice."""
        require_use_case(caller, declared.get(use_case).name)
        return await actions.roll_back(caller, origin_of(request), use_case, reason=given.reason, key=idempotency_key)

    return router
