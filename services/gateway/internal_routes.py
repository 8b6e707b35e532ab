"""``/internal``: what the platform's own services ask and tell. The edge does not publish it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response

from services.core.access.access_list import AccessListDocument
from services.core.access.audit import AuditEntry
from services.core.access.key_usage import KeyUse
from services.core.web.roles import SERVICE
from services.core.web.service_credential import service_credential
from services.gateway import keys
from services.gateway.gateway import Gateway


def internal_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["between services"], dependencies=[Depends(service_credential)])

    @router.get("/internal/access-list", openapi_extra=dict(SERVICE), summary="All that verifying callers needs")
    def access_list() -> AccessListDocument:
        return gateway.access.document()

    @router.post("/internal/key-usage", openapi_extra=dict(SERVICE), summary="Uses of API keys", status_code=204)
    def key_usage(uses: Annotated[list[KeyUse], Body(max_length=10_000)]) -> Response:
        with gateway.transaction() as session:
            keys.count_uses(session, uses)
        return Response(status_code=204)

    @router.post("/internal/audit", openapi_extra=dict(SERVICE), summary="Audit entries of other services")
    def audit(entries: Annotated[list[AuditEntry], Body(max_length=1_000)]) -> dict[str, int]:
        """Each entry is stored once, by its id, however often it is delivered."""
        with gateway.transaction() as session:
            added = gateway.trail.take(session, entries)
        return {"stored": added}

    return router
