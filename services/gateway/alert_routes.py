"""``/internal/alerts``, which Alertmanager posts to, and ``/admin/alerts``, which the dashboard shows."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from services.core.access.audit import AuditEntry
from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.alerts.notice import Notice, Severity
from services.core.alerts.store import Change, open_alerts, take
from services.core.alerts.tables import AlertRow
from services.core.web.roles import SERVICE
from services.core.web.service_credential import service_credential
from services.gateway.callers import Viewer
from services.gateway.gateway import Gateway
from services.gateway.trail import SERVICE as SERVICE_NAME
from services.gateway.trail import Origin, origin_of

ALERTMANAGER = Caller("service", "alertmanager", "alertmanager", Role.ADMIN, "", None)
"""Who opens and closes alerts, in the audit log. It cannot send a header of its own that names it."""


class Summary(BaseModel):
    en: str
    fr: str


class OpenAlert(BaseModel):
    id: str
    name: str
    severity: Severity = Field(description="page: now, whatever the hour. ticket: within a working day. info: to know.")
    use_case: str | None = Field(description="Null where it concerns the whole platform.")
    summary: Summary
    since: AwareDatetime
    runbook: str = Field(description="The page that says what to do first, in the project's documents.")


class OpenAlerts(BaseModel):
    alerts: list[OpenAlert] = Field(description="The gravest first, then the newest.")


def alerts_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["alerts"])

    @router.post(
        "/internal/alerts",
        openapi_extra=dict(SERVICE),
        summary="What Alertmanager tells",
        status_code=204,
        dependencies=[Depends(service_credential)],
    )
    def told(request: Request, notice: Notice) -> Response:
        """Each time that an alert fires is kept once; opening and closing it are entries of the audit log."""
        with gateway.transaction() as session:
            changes = take(session, notice.alerts, datetime.now(UTC))
            if changes:
                origin = origin_of(request)
                gateway.trail.take(session, [_entry(change, origin) for change in changes])
        for change in changes:
            gateway.counters.alerts.labels(change.alert.severity, change.action).inc()
        return Response(status_code=204)

    @router.get("/admin/alerts", summary="Alerts that fire now")
    def alerts(caller: Viewer) -> OpenAlerts:  # noqa: ARG001 - the role is what counts
        with gateway.transaction() as session:
            return OpenAlerts(alerts=[_shown(row) for row in open_alerts(session, datetime.now(UTC))])

    return router


def _entry(change: Change, origin: Origin) -> AuditEntry:
    alert = change.alert
    return AuditEntry(
        service=SERVICE_NAME,
        action=f"alert.{change.action}",
        use_case=alert.use_case,
        target=alert.name,
        address=origin.address,
        request_id=origin.request_id,
        details={"severity": alert.severity, "alert": alert.id},
    ).by(ALERTMANAGER)


def _shown(row: AlertRow) -> OpenAlert:
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
