"""Alerts received from Alertmanager's webhook (version 4): payload, table, and upsert."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints
from sqlalchemy import Index, String, Text, case, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.core.database.connection import Base, insert_if_new

ID, WORD, NAME = 64, 40, 120
"""Maximum lengths of columns, in characters."""


class AlertRow(Base):
    """One firing of an alert, from ``started_at`` to ``ended_at``. ``seen_at``: last notification by Alertmanager;
    alerts without recent notifications are not listed as open."""

    __tablename__ = "alerts"
    __table_args__ = (Index("ix_alerts_ended_at_seen_at", "ended_at", "seen_at"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    severity: Mapped[str] = mapped_column(String(WORD))
    use_case: Mapped[str] = mapped_column(String(NAME), default="")
    summary_en: Mapped[str] = mapped_column(Text)
    summary_fr: Mapped[str] = mapped_column(Text)
    runbook: Mapped[str] = mapped_column(Text, default="")
    labels: Mapped[dict[str, Any]]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


Severity = Literal["page", "ticket", "info"]
_SEVERITIES: dict[str, Severity] = {severity: severity for severity in get_args(Severity)}
AlertText = Annotated[str, StringConstraints(max_length=2_000)]


class WebhookAlert(BaseModel):
    """One alert of a notification. ``ends_at`` is meaningful only if it is resolved."""

    status: Literal["firing", "resolved"]
    labels: dict[AlertText, AlertText] = Field(max_length=60)
    annotations: dict[AlertText, AlertText] = Field(default_factory=dict, max_length=60)
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")]

    @property
    def id(self) -> str:
        """Id of this firing, the same in each of its notifications."""
        moment: datetime = self.starts_at
        return hashlib.sha256(f"{self.fingerprint} {moment.timestamp()!r}".encode()).hexdigest()[:32]

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "unnamed")[:120]

    @property
    def severity(self) -> Severity:
        """Severity from the rule's label; unknown values become tickets (next working day)."""
        return _SEVERITIES.get(self.labels.get("severity", ""), "ticket")

    @property
    def use_case(self) -> str:
        return self.labels.get("use_case", "")[:120]

    def summary(self, language: Literal["en", "fr"]) -> str:
        english = self.annotations.get("summary") or self.name
        return english if language == "en" else self.annotations.get("summary_fr") or english


class AlertWebhook(BaseModel):
    """A notification with a group of alerts."""

    version: Literal["4"]
    alerts: list[WebhookAlert] = Field(max_length=1_000)


EXPIRES_AFTER = timedelta(hours=1)
"""Alertmanager repeats firing alerts every quarter of an hour (``repeat_interval`` of its route to the gateway); an
alert without a notification for this long is over, even if it was never resolved."""
RETENTION = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class AlertChange:
    """A change by a notification, for the audit log."""

    alert: WebhookAlert
    action: Literal["opened", "closed"]


def upsert(session: Session, alerts: Sequence[WebhookAlert], now: datetime) -> list[AlertChange]:
    """Store a notification and delete old rows. Returns the changes: a repeated notification changes nothing, and a
    closed alert stays closed."""
    changes: list[AlertChange] = []
    for alert in alerts:
        added = _insert_if_new(session, alert, now)
        row = session.get_one(AlertRow, alert.id, populate_existing=True)
        if added:
            changes.append(AlertChange(alert, "opened"))
        if row.ended_at is not None:
            continue
        row.seen_at = now
        row.summary_en, row.summary_fr = alert.summary("en"), alert.summary("fr")
        if alert.status == "resolved":
            row.ended_at = alert.ends_at or now
            changes.append(AlertChange(alert, "closed"))
    session.flush()
    session.execute(delete(AlertRow).where(AlertRow.seen_at < now - RETENTION))
    return changes


def list_open_alerts(session: Session, now: datetime) -> list[AlertRow]:
    """List firing alerts: most severe first, then newest."""
    rank = case({"page": 0, "ticket": 1}, value=AlertRow.severity, else_=2)
    asked = select(AlertRow).where(AlertRow.ended_at.is_(None), AlertRow.seen_at >= now - EXPIRES_AFTER)
    return list(session.scalars(asked.order_by(rank, AlertRow.started_at.desc(), AlertRow.id)))


def _insert_if_new(session: Session, alert: WebhookAlert, now: datetime) -> bool:
    """Insert the alert; False if it exists. Concurrent notifications create one row."""
    values = {
        "id": alert.id,
        "name": alert.name,
        "severity": alert.severity,
        "use_case": alert.use_case,
        "summary_en": alert.summary("en"),
        "summary_fr": alert.summary("fr"),
        "runbook": alert.annotations.get("runbook", ""),
        "labels": alert.labels,
        "started_at": alert.starts_at,
        "seen_at": now,
        "ended_at": None,
    }
    insert = insert_if_new(session.connection(), AlertRow, index_elements=["id"]).values(values)
    return session.scalar(insert.returning(AlertRow.id)) is not None
