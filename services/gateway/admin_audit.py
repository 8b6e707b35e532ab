"""``/admin/audit`` and ``/admin/freeze``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.core.access import freeze as freezing
from services.core.access.audit import Outcome
from services.core.access.audit_read import AuditFilter, read
from services.core.access.audit_verify import verify
from services.core.errors import ConflictError
from services.gateway.callers import Admin, Operator, Viewer
from services.gateway.gateway import Gateway
from services.gateway.reading_schemas import AuditReport
from services.gateway.rights import require_all_centres, seen_centres
from services.gateway.schemas import AuditPage, AuditQuery, FreezeRequest, FreezeState
from services.gateway.trail import origin_of


def audit_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["audit log and freeze"])

    @router.get("/admin/audit", summary="The audit log, newest first")
    def audit(caller: Admin, asked: Annotated[AuditQuery, Query()]) -> AuditPage:
        """Entries of the centres that one sees; those that belong to no centre are for administrators of all."""
        wanted = AuditFilter(
            actor=asked.actor,
            action=asked.action,
            use_case=asked.use_case,
            outcome=asked.outcome,
            since=asked.since,
            until=asked.until,
            centres=seen_centres(caller),
            before=asked.before,
        )
        with gateway.transaction() as session:
            entries = read(session.connection(), wanted, asked.limit + 1)
        page = entries[: asked.limit]
        return AuditPage(entries=page, next_before=page[-1]["sequence"] if len(entries) > asked.limit else None)

    @router.get("/admin/audit/verification", summary="Whether the audit log was tampered with")
    def verification(request: Request, caller: Admin) -> AuditReport:
        """Reads the whole log, each entry against its hash, its place and the signed end. For administrators of all
        centres."""
        require_all_centres(caller)
        with gateway.engine.connect() as connection:
            found = verify(connection, gateway.trail.chain)
        with gateway.transaction() as session:
            outcome: Outcome = "ok" if found.intact else "failed"
            gateway.trail.add(session, origin_of(request), "audit.verified", by=caller, outcome=outcome)
        return AuditReport(
            intact=found.intact, entries=found.entries, sequence=found.sequence, hash=found.hash, faults=found.faults
        )

    @router.get("/admin/freeze", summary="Whether promotions are frozen")
    def state(caller: Viewer) -> FreezeState:  # noqa: ARG001 - the role is what counts
        return _state(freezing.frozen(gateway.engine))

    @router.post("/admin/freeze", summary="Freeze promotions during a major incident")
    def freeze(request: Request, given: FreezeRequest, caller: Operator) -> FreezeState:
        """Until it is lifted no model is promoted, by nobody and no run. Rolling back stays possible."""
        with gateway.transaction() as session:
            made = freezing.freeze(session.connection(), reason=given.reason, by=caller.name)
            gateway.trail.add(session, origin_of(request), "promotions.frozen", by=caller, reason=given.reason)
        gateway.counters.frozen.set(1)
        return _state(made)

    @router.delete("/admin/freeze", summary="Let promotions go on")
    def thaw(request: Request, caller: Admin) -> FreezeState:
        with gateway.transaction() as session:
            if not freezing.thaw(session.connection()):
                raise ConflictError("Promotions are not frozen.")
            gateway.trail.add(session, origin_of(request), "promotions.released", by=caller)
        gateway.counters.frozen.set(0)
        return FreezeState(frozen=False)

    return router


def _state(found: freezing.Freeze | None) -> FreezeState:
    if found is None:
        return FreezeState(frozen=False)
    return FreezeState(frozen=True, reason=found.reason, by=found.by, since=found.since)
