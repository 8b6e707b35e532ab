"""Routes of the audit log (``/admin/audit``) and the promotion freeze (``/admin/freeze``)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from pydantic import BaseModel, Field, StringConstraints

from services.core.audit.entries import AuditEntry, AuditOutcome
from services.core.audit.log import AuditFilter, query_entries, verify_chain
from services.core.auth.principal import Principal
from services.core.auth.service_credentials import STAGES
from services.core.errors import ConflictError
from services.core.model_registry import promotion_freeze as freezing
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import admits
from services.gateway.audit.service import request_origin_of
from services.gateway.container import GatewayContainer
from services.gateway.deps import (
    MAX_BIGINT,
    Admin,
    Moment,
    Operator,
    StrictModel,
    Viewer,
    require_all_centres,
    visible_centres,
)


class FreezeRequest(StrictModel, json_schema_extra={"examples": [{"reason": "Major incident: flooding in the east."}]}):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]


class FreezeState(BaseModel):
    frozen: bool
    reason: str | None = None
    by: str | None = None
    since: datetime | None = None


class AuditQuery(BaseModel):
    actor: str | None = Field(default=None, max_length=120, description="A user's or key's name.")
    action: str | None = Field(default=None, max_length=80, description="Such as `login.failed`, or `login.*`.")
    use_case: str | None = Field(default=None, max_length=120)
    outcome: AuditOutcome | None = None
    since: Moment | None = Field(default=None, alias="from", description="With a zone; included.")
    until: Moment | None = Field(default=None, alias="to", description="With a zone; not included.")
    before: int | None = Field(default=None, ge=1, le=MAX_BIGINT, description="`next_before` of the page before.")
    limit: int = Field(default=100, ge=1, le=500)


class AuditPage(BaseModel):
    entries: list[dict[str, Any]]
    next_before: int | None = Field(description="Give it as `before` for the next, older page; null at the end.")


class AuditVerification(BaseModel):
    intact: bool
    entries: int
    sequence: int = Field(description="Of the newest entry; noted elsewhere with its hash, it proves more later.")
    hash: str
    faults: list[str]


RecordingPrincipal = Annotated[Principal, Depends(admits("prediction", *STAGES))]


def audit_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["audit log and freeze"])

    @router.post(
        "/internal/audit", openapi_extra=dict(SERVICE), tags=["between services"], summary="Entries of other services"
    )
    def store_audit_entries(
        request: Request, caller: RecordingPrincipal, entries: Annotated[list[AuditEntry], Body(max_length=1_000)]
    ) -> dict[str, int]:
        """Stores each entry once by its id, however often it is delivered, as one of the service that delivers it."""
        if request.app.state.service_callers is not None:  # a shared token does not tell services apart
            entries = [entry.model_copy(update={"service": caller.id}) for entry in entries]
        with gateway.transaction() as session:
            return {"stored": gateway.trail.take(session, entries)}

    @router.get("/admin/audit", summary="The audit log, newest first")
    def list_audit_entries(caller: Admin, asked: Annotated[AuditQuery, Query()]) -> AuditPage:
        """Entries of the caller's centres. Entries without a centre require an administrator of all centres."""
        wanted = AuditFilter(
            actor=asked.actor,
            action=asked.action,
            use_case=asked.use_case,
            outcome=asked.outcome,
            since=asked.since,
            until=asked.until,
            centres=visible_centres(caller),
            before=asked.before,
        )
        with gateway.transaction() as session:
            entries = query_entries(session.connection(), wanted, asked.limit + 1)
        page = entries[: asked.limit]
        return AuditPage(entries=page, next_before=page[-1]["sequence"] if len(entries) > asked.limit else None)

    @router.get("/admin/audit/verification", summary="Whether the audit log was tampered with")
    def verify_audit_log(request: Request, caller: Admin) -> AuditVerification:
        """Verifies the whole log: each entry against its hash and position, and the signed head. Requires an
        administrator of all centres."""
        require_all_centres(caller)
        with gateway.engine.connect() as connection:
            found = verify_chain(connection, gateway.trail.chain)
        with gateway.transaction() as session:
            outcome: AuditOutcome = "ok" if found.intact else "failed"
            gateway.trail.add(session, request_origin_of(request), "audit.verified", by=caller, outcome=outcome)
        return AuditVerification(
            intact=found.intact, entries=found.entries, sequence=found.sequence, hash=found.hash, faults=found.faults
        )

    @router.get("/admin/freeze", summary="Whether promotions are frozen")
    def get_freeze(caller: Viewer) -> FreezeState:  # noqa: ARG001 - the role is what counts
        return _freeze_state(freezing.active_freeze(gateway.engine))

    @router.post("/admin/freeze", summary="Freeze promotions during a major incident")
    def freeze_promotions(request: Request, given: FreezeRequest, caller: Operator) -> FreezeState:
        """Blocks every promotion, manual or by a run, until the freeze is lifted. Rollbacks stay possible. Requires an
        operator of all centres."""
        require_all_centres(caller)
        with gateway.transaction() as session:
            made = freezing.freeze_promotions(session.connection(), reason=given.reason, by=caller.name)
            gateway.trail.add(session, request_origin_of(request), "promotions.frozen", by=caller, reason=given.reason)
        gateway.counters.frozen.set(1)
        return _freeze_state(made)

    @router.delete("/admin/freeze", summary="Let promotions go on")
    def lift_freeze(request: Request, caller: Admin) -> FreezeState:
        """Requires an administrator of all centres."""
        require_all_centres(caller)
        with gateway.transaction() as session:
            if not freezing.unfreeze_promotions(session.connection()):
                raise ConflictError("Promotions are not frozen.")
            gateway.trail.add(session, request_origin_of(request), "promotions.released", by=caller)
        gateway.counters.frozen.set(0)
        return FreezeState(frozen=False)

    return router


def _freeze_state(found: freezing.PromotionFreeze | None) -> FreezeState:
    if found is None:
        return FreezeState(frozen=False)
    return FreezeState(frozen=True, reason=found.reason, by=found.by, since=found.since)
