"""Routes of ``/admin/models`` and ``/admin/withdrawals``: versions, cards, plots, promotion, rollback, emergency stop.

Promotion and rollback are jobs of the training service."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from services.core import use_case_registry as declared
from services.core.audit.entries import AuditOutcome
from services.core.auth.principal import Principal
from services.core.auth.snapshot import Withdrawal
from services.core.errors import ConflictError, VigieError
from services.core.jobs.client import FINAL_STATES, get_job, submit_job
from services.core.model_registry import promotion_freeze
from services.core.model_registry.version import CHAMPION, RegisteredVersion
from services.gateway.audit.service import RequestOrigin, request_origin_of
from services.gateway.container import GatewayContainer
from services.gateway.deps import Admin, Operator, Viewer, require_all_centres, require_use_case
from services.gateway.models import withdrawals
from services.gateway.models.schemas import (
    ModelActionResult,
    ModelVersionDetails,
    ModelVersionList,
    PromotionRequest,
    RollbackRequest,
    WithdrawalRequest,
)
from services.gateway.models.service import (
    describe_version,
    get_version,
    list_versions,
    read_model_card,
    read_plot,
    version_details,
)
from services.gateway.runs.orchestrator import RunOrchestrator
from services.gateway.service_client import JobClient

log = structlog.get_logger(__name__)

JOB_WAIT_SECONDS = 25.0
"""Seconds for which a response waits for the job; the job continues after that."""
AUDIT_VERBS = {"promote": "promoted", "rollback": "rolled_back"}


class ModelActions:
    """Runs promotions and rollbacks as jobs of the training service, with audit entries."""

    def __init__(self, gateway: GatewayContainer, stages: JobClient) -> None:
        self._gateway, self._stages = gateway, stages

    async def promote(
        self, caller: Principal, origin: RequestOrigin, use_case: str, version: int, *, reason: str, key: str | None
    ) -> ModelActionResult:
        """Promote a version by a job of the training service.

        Raises:
            ConflictError: promotions are frozen.
        """
        target = f"version {version}"
        try:
            await run_in_threadpool(promotion_freeze.ensure_not_frozen, self._gateway.engine)
        except ConflictError:
            await self._record(caller, origin, "model.promoted", use_case, target, "refused", frozen=True)
            raise
        return await self._act(caller, origin, use_case, "promote", {"version": version}, target, reason, key)

    async def roll_back(
        self, caller: Principal, origin: RequestOrigin, use_case: str, *, reason: str, key: str | None
    ) -> ModelActionResult:
        """Roll back to the previous champion; allowed while promotions are frozen."""
        target = "the previous champion"
        return await self._act(caller, origin, use_case, "rollback", {}, target, reason, key)

    async def _act(  # noqa: PLR0917
        self,
        caller: Principal,
        origin: RequestOrigin,
        use_case: str,
        step: str,
        options: Mapping[str, Any],
        target: str,
        reason: str,
        key: str | None,
    ) -> ModelActionResult:
        # Recorded before the action: it is in the log even if its result is never received.
        await self._record(caller, origin, f"model.{step}_asked", use_case, target, "ok", reason=reason)
        action = f"model.{AUDIT_VERBS[step]}"
        try:
            request = submit_job(use_case, step, options, f"{step}:{caller.id}:{key or uuid.uuid4().hex}", caller.name)
            job = await self._stages.call(step, request)
            if job["state"] not in FINAL_STATES:
                job = await self._stages.call(step, get_job(job["id"], JOB_WAIT_SECONDS))
        except Exception as error:
            await self._record(caller, origin, action, use_case, target, "failed", error=type(error).__name__)
            raise
        if job["state"] in FINAL_STATES:
            outcome: AuditOutcome = "ok" if job["state"] == "succeeded" else "failed"
            version = (job.get("result") or {}).get("version")
            named = target if version is None else f"version {version}"
            await self._record(caller, origin, action, use_case, named, outcome, job=str(job["id"]))
        return ModelActionResult(
            use_case=use_case, id=job["id"], state=job["state"], result=job.get("result"), error=job.get("error")
        )

    async def _record(  # noqa: PLR0917
        self,
        caller: Principal,
        origin: RequestOrigin,
        action: str,
        use_case: str,
        target: str,
        outcome: AuditOutcome,
        **details: str | bool,
    ) -> None:
        entry = partial(self._gateway.record, origin, action, by=caller, use_case=use_case, target=target)
        await run_in_threadpool(entry, outcome=outcome, **details)


IdempotencyKey = Annotated[
    str | None,
    Header(min_length=8, max_length=120, pattern=r"^[A-Za-z0-9._:+/~-]+$", description="The same key acts once."),
]


def models_router(gateway: GatewayContainer, runner: RunOrchestrator) -> APIRouter:
    router = APIRouter(tags=["models"])
    actions = ModelActions(gateway, runner.stages)

    @router.get("/admin/models/{use_case}", summary="A use case's versions, aliases and metrics")
    def list_models(use_case: str, caller: Viewer) -> ModelVersionList:
        require_use_case(caller, declared.get(use_case).name)
        versions = list_versions(gateway.settings, use_case)
        return ModelVersionList(
            use_case=use_case,
            champion=next((version.number for version in versions if CHAMPION in version.aliases), None),
            frozen=promotion_freeze.active_freeze(gateway.engine) is not None,
            versions=[describe_version(version) for version in versions],
        )

    @router.post("/admin/models/{use_case}/promote", summary="Make a version the champion by hand")
    async def promote_model(
        request: Request, use_case: str, given: PromotionRequest, caller: Admin, idempotency_key: IdempotencyKey = None
    ) -> ModelActionResult:
        """Bypasses the gate and therefore requires an administrator of all centres. 409 while promotions are frozen."""
        require_all_centres(caller)
        require_use_case(caller, declared.get(use_case).name)
        return await actions.promote(
            caller, request_origin_of(request), use_case, given.version, reason=given.reason, key=idempotency_key
        )

    @router.post("/admin/models/{use_case}/rollback", summary="Make the previous champion serve again")
    async def roll_back_model(
        request: Request, use_case: str, given: RollbackRequest, caller: Admin, idempotency_key: IdempotencyKey = None
    ) -> ModelActionResult:
        """Runs in the training service directly, without Airflow; allowed while promotions are frozen. Send an
        `Idempotency-Key`, so that a repeated request does not roll back twice. Requires an administrator of all
        centres."""
        require_all_centres(caller)
        require_use_case(caller, declared.get(use_case).name)
        return await actions.roll_back(
            caller, request_origin_of(request), use_case, reason=given.reason, key=idempotency_key
        )

    return router


def withdrawals_router(gateway: GatewayContainer) -> APIRouter:
    """Routes of the emergency stop."""
    router = APIRouter(tags=["emergency stop"])

    @router.get("/admin/withdrawals", summary="The emergency stops in force")
    def list_withdrawals(caller: Viewer) -> list[Withdrawal]:
        with gateway.transaction() as session:
            return [entry for entry in withdrawals.withdrawals(session)[0] if caller.can_call(entry.use_case)]

    @router.post("/admin/withdrawals", summary="Withdraw advice at once", status_code=201)
    def start_withdrawal(request: Request, given: WithdrawalRequest, caller: Operator) -> Withdrawal:
        """That of a use case, a target or a version: within two seconds its answers everywhere say `withdrawn`.
        Requires an operator of all centres."""
        require_all_centres(caller)
        use_case = declared.get(given.use_case)
        require_use_case(caller, use_case.name)
        targets = [target.name for target in use_case.modelling.targets]
        if given.target is not None and given.target not in targets:
            raise VigieError(f"{use_case.name} has no target {given.target!r}.", expected=", ".join(targets))
        with gateway.transaction() as session:
            made = withdrawals.withdraw(
                session, use_case.name, given.target, given.version, given.reason, caller.name, datetime.now(UTC)
            )
            gateway.trail.add(
                session,
                request_origin_of(request),
                "advice.withdrawn",
                by=caller,
                use_case=use_case.name,
                target=_extent(made),
                id=made.id,
                reason=given.reason,
            )
        log.warning("advice withdrawn", use_case=use_case.name, id=made.id, by=caller.id)
        return made

    @router.delete("/admin/withdrawals/{withdrawal_id}", summary="Lift an emergency stop", status_code=204)
    def lift_withdrawal(
        request: Request,
        withdrawal_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],
        caller: Operator,
        reason: Annotated[str, Query(max_length=500)] = "",
    ) -> None:
        """Also one that a lost database does not know any more: the answers that say `withdrawn` name its id. Requires
        an operator of all centres."""
        require_all_centres(caller)
        with gateway.transaction() as session:
            found = withdrawals.lift(session, withdrawal_id, caller.name, datetime.now(UTC))
            use_case = "" if found is None else found.use_case
            if found is not None or caller.use_cases is not None:
                require_use_case(caller, use_case)
            extent = f"withdrawal {withdrawal_id}" if found is None else _extent(found)
            gateway.trail.add(
                session,
                request_origin_of(request),
                "advice.restored",
                by=caller,
                use_case=use_case,
                target=extent,
                id=withdrawal_id,
                reason=reason,
            )
        log.warning("advice restored", use_case=use_case, id=withdrawal_id, by=caller.id)

    return router


def _extent(entry: Withdrawal) -> str:
    version = "any version" if entry.version is None else f"version {entry.version}"
    return version if entry.target is None else f"target {entry.target}, {version}"


VersionNumber = Annotated[int, Path(ge=1, le=2**31)]
_CACHE_HEADERS = {"Cache-Control": "private, max-age=86400"}
"""The files of a version are immutable."""


def model_details_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["models"])

    def chosen(use_case: str, number: int, caller: Viewer) -> RegisteredVersion:
        require_use_case(caller, declared.get(use_case).name)
        return get_version(gateway.settings, use_case, number)

    @router.get("/admin/models/{use_case}/versions/{number}", summary="A version in full")
    def get_model(use_case: str, number: VersionNumber, caller: Viewer) -> ModelVersionDetails:
        """Metrics, the gate's decision, subgroups, parameters, data and the names of the plots."""
        return version_details(gateway.settings, chosen(use_case, number, caller))

    @router.get("/admin/models/{use_case}/versions/{number}/card", summary="A version's model card")
    def get_model_card(use_case: str, number: VersionNumber, caller: Viewer) -> Response:
        """Markdown."""
        text = read_model_card(gateway.settings, chosen(use_case, number, caller))
        return Response(text, media_type="text/markdown; charset=utf-8", headers=_CACHE_HEADERS)

    @router.get("/admin/models/{use_case}/versions/{number}/plots/{name}", summary="One of a version's plots")
    def get_model_plot(use_case: str, number: VersionNumber, name: str, caller: Viewer) -> Response:
        """PNG."""
        return Response(
            read_plot(gateway.settings, chosen(use_case, number, caller), name),
            media_type="image/png",
            headers=_CACHE_HEADERS,
        )

    return router
