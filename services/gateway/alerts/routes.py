"""Routes of alerts: ``/internal/alerts`` (Alertmanager's webhook) and ``/admin/alerts`` (read by the dashboard)."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from services.core.audit.entries import AuditEntry
from services.core.auth.principal import Principal, Role
from services.core.monitoring.alerts import AlertChange, AlertRow, AlertWebhook, Severity, list_open_alerts, upsert
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import admits
from services.gateway.audit.service import SERVICE_NAME, RequestOrigin, request_origin_of
from services.gateway.container import GatewayContainer
from services.gateway.deps import Viewer

ALERTMANAGER_PRINCIPAL = Principal("service", "alertmanager", "alertmanager", Role.ADMIN, "", None)
"""Actor of the audit entries for alerts. Alertmanager cannot send a header that names it."""


class AlertSummary(BaseModel):
    en: str
    fr: str


class OpenAlert(BaseModel):
    id: str
    name: str
    severity: Severity = Field(description="page: now, whatever the hour. ticket: within a working day. info: to know.")
    use_case: str | None = Field(description="Null where it concerns the whole platform.")
    summary: AlertSummary
    since: AwareDatetime
    runbook: str = Field(description="The page that says what to do first, in the project's documents.")


class OpenAlertList(BaseModel):
    alerts: list[OpenAlert] = Field(description="The gravest first, then the newest.")


def alerts_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["alerts"])

    @router.post(
        "/internal/alerts",
        openapi_extra=dict(SERVICE),
        summary="What Alertmanager tells",
        status_code=204,
        dependencies=[Depends(admits("alertmanager"))],
    )
    def receive_alerts(request: Request, notice: AlertWebhook) -> Response:
        """Stores each firing of an alert once; opening and closing are audit entries."""
        with gateway.transaction() as session:
            changes = upsert(session, notice.alerts, datetime.now(UTC))
            if changes:
                origin = request_origin_of(request)
                gateway.trail.take(session, [_audit_entry(change, origin) for change in changes])
        for change in changes:
            gateway.counters.alerts.labels(change.alert.severity, change.action).inc()
        return Response(status_code=204)

    @router.get("/admin/alerts", summary="Alerts that fire now")
    def list_alerts(caller: Viewer) -> OpenAlertList:  # noqa: ARG001 - the role is what counts
        with gateway.transaction() as session:
            return OpenAlertList(alerts=[_to_schema(row) for row in list_open_alerts(session, datetime.now(UTC))])

    return router


def _audit_entry(change: AlertChange, origin: RequestOrigin) -> AuditEntry:
    alert = change.alert
    return AuditEntry(
        service=SERVICE_NAME,
        action=f"alert.{change.action}",
        use_case=alert.use_case,
        target=alert.name,
        address=origin.address,
        request_id=origin.request_id,
        details={"severity": alert.severity, "alert": alert.id},
    ).by(ALERTMANAGER_PRINCIPAL)


def _to_schema(row: AlertRow) -> OpenAlert:
    return OpenAlert.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "severity": row.severity,
            "use_case": row.use_case or None,
            "summary": {"en": row.summary_en, "fr": row.summary_fr},
            "since": row.started_at,
            "runbook": row.runbook,
        }
    )
