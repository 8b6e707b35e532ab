"""What Alertmanager posts to the gateway is stored (on both databases), audited and shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from services.core.audit.log import AuditEntryRow
from services.core.monitoring.alerts import EXPIRES_AFTER, RETENTION, AlertRow, AlertWebhook, list_open_alerts, upsert
from services.gateway.container import GatewayContainer
from tests.gateways import PASSWORD, SERVICE_TOKEN, make_gateway, sqlite_copy

SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
SINCE = "2026-11-21T12:00:00.123456789Z"
NOW = datetime(2026, 11, 21, 12, 5, tzinfo=UTC)


def alert(name: str = "DataDrifted", status: str = "firing", **changed: Any) -> dict[str, Any]:
    labels = {"alertname": name, "severity": "ticket", "use_case": "fire_response", **changed.pop("labels", {})}
    return {
        "status": status,
        "labels": labels,
        "annotations": {"summary": "It drifted.", "summary_fr": "Dérive.", "runbook": "docs/runbooks/data-drifted.md"},
        "startsAt": SINCE,
        "endsAt": "2026-11-21T12:30:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/prometheus/graph",
        "fingerprint": f"{abs(hash(name)):016x}"[:16],
        **changed,
    }


def notice(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}", "receiver": "platform", "status": "firing", "alerts": list(alerts)}


@pytest.fixture(scope="module")
def app(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """Building a gateway takes longer than any test with it."""
    home = tmp_path_factory.mktemp("gateway")
    engine = sqlite_copy(template, home)
    yield make_gateway(home, engine)
    engine.dispose()


@pytest.fixture(scope="module")
def viewer(app: FastAPI) -> dict[str, str]:
    form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
    token = TestClient(app, base_url="https://vigie.test").post("/auth/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """No alert is open yet."""
    gateway: GatewayContainer = app.state.gateway
    with gateway.transaction() as session:
        session.execute(delete(AlertRow))
    return TestClient(app, base_url="https://vigie.test")


def _audited(app: FastAPI, name: str) -> list[tuple[str, str]]:
    with app.state.gateway.transaction() as session:
        asked = select(AuditEntryRow).where(AuditEntryRow.target == name).order_by(AuditEntryRow.sequence)
        return [(row.action, row.actor_name) for row in session.scalars(asked)]


def test_a_firing_alert_is_shown_until_it_is_resolved(client: TestClient, viewer: dict[str, str]) -> None:
    assert client.post("/internal/alerts", json=notice(alert()), headers=SERVICE).status_code == 204
    (shown,) = client.get("/admin/alerts", headers=viewer).json()["alerts"]
    assert shown.pop("id")
    assert shown == {
        "name": "DataDrifted",
        "severity": "ticket",
        "use_case": "fire_response",
        "summary": {"en": "It drifted.", "fr": "Dérive."},
        "since": "2026-11-21T12:00:00.123456Z",
        "runbook": "docs/runbooks/data-drifted.md",
    }
    client.post("/internal/alerts", json=notice(alert(status="resolved")), headers=SERVICE)
    assert client.get("/admin/alerts", headers=viewer).json() == {"alerts": []}


def test_opening_and_closing_are_audited_once_however_often_they_are_told(app: FastAPI, client: TestClient) -> None:
    for status in ("firing", "firing", "resolved", "resolved", "firing"):
        told = notice(alert("ToldOften", status=status))
        assert client.post("/internal/alerts", json=told, headers=SERVICE).status_code == 204
    assert _audited(app, "ToldOften") == [("alert.opened", "alertmanager"), ("alert.closed", "alertmanager")]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer of-somebody-else-altogether-0123456789"}])
def test_nobody_without_the_platforms_credential_opens_an_alert(
    app: FastAPI, client: TestClient, viewer: dict[str, str], headers: dict[str, str]
) -> None:
    for shown in (headers, headers | viewer):
        assert client.post("/internal/alerts", json=notice(alert("Forged")), headers=shown).status_code == 401
    assert client.get("/admin/alerts", headers=viewer).json() == {"alerts": []}
    assert _audited(app, "Forged") == []


def test_alerts_are_not_for_everybody(client: TestClient) -> None:
    assert client.get("/admin/alerts").status_code == 401


def test_the_gravest_comes_first(client: TestClient, viewer: dict[str, str]) -> None:
    told = [
        alert(name, labels={"severity": severity}) for name, severity in (("A", "info"), ("B", "page"), ("C", "odd"))
    ]
    client.post("/internal/alerts", json=notice(*told), headers=SERVICE)
    shown = client.get("/admin/alerts", headers=viewer).json()["alerts"]
    assert [(one["name"], one["severity"]) for one in shown] == [("B", "page"), ("C", "ticket"), ("A", "info")]


def test_an_alert_without_a_use_case_concerns_the_platform(client: TestClient, viewer: dict[str, str]) -> None:
    told = alert("DatabaseDown")
    del told["labels"]["use_case"]
    client.post("/internal/alerts", json=notice(told), headers=SERVICE)
    assert client.get("/admin/alerts", headers=viewer).json()["alerts"][0]["use_case"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"version": "3", "alerts": []},
        notice({**alert(), "status": "odd"}),
        notice({**alert(), "startsAt": "2026-11-21T12:00:00"}),
        notice({**alert(), "fingerprint": "../../etc"}),
        notice(*[alert()] * 1_001),
    ],
)
def test_what_is_no_notice_is_refused_and_changes_nothing(
    client: TestClient, viewer: dict[str, str], body: dict[str, Any]
) -> None:
    assert client.post("/internal/alerts", json=body, headers=SERVICE).status_code == 422
    assert client.get("/admin/alerts", headers=viewer).json() == {"alerts": []}


# --- keeping ----------------------------------------------------------------------------------------------


def _take(engine: Engine, told: dict[str, Any], now: datetime) -> list[str]:
    with Session(engine) as session, session.begin():
        return [change.action for change in upsert(session, AlertWebhook.model_validate(notice(told)).alerts, now)]


def _open(engine: Engine, now: datetime) -> list[str]:
    with Session(engine) as session:
        return [row.name for row in list_open_alerts(session, now)]


def test_an_alert_that_alertmanager_has_forgotten_is_not_shown_for_ever(engine: Engine) -> None:
    _take(engine, alert(), NOW)
    assert _open(engine, NOW + EXPIRES_AFTER - timedelta(minutes=1)) == ["DataDrifted"]
    assert _open(engine, NOW + EXPIRES_AFTER + timedelta(minutes=1)) == []
    _take(engine, alert(), NOW + 2 * EXPIRES_AFTER)
    assert _open(engine, NOW + 2 * EXPIRES_AFTER) == ["DataDrifted"], "it is spoken of again"


def test_an_alert_that_fires_again_later_is_another_one(engine: Engine) -> None:
    assert _take(engine, alert(), NOW) == ["opened"]
    assert _take(engine, alert(status="resolved"), NOW) == ["closed"]
    assert _take(engine, alert(startsAt="2026-11-21T18:00:00Z"), NOW + timedelta(hours=6)) == ["opened"]
    assert _open(engine, NOW + timedelta(hours=6)) == ["DataDrifted"]


def test_old_alerts_are_forgotten(engine: Engine) -> None:
    _take(engine, alert(status="resolved"), NOW)
    _take(engine, alert("Another"), NOW + RETENTION + timedelta(days=1))
    with Session(engine) as session:
        assert list(session.scalars(select(AlertRow.name))) == ["Another"]
