"""What the gateway does when monitoring calls for a retraining or a rollback."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from services.core.audit.log import AuditFilter, query_entries
from services.core.errors import ConflictError
from services.core.settings import Settings
from services.core.web.exception_handlers import add_exception_handlers
from services.core.web.server import RequestIdMiddleware
from services.drift.actions import GatewayClient
from services.gateway.container import GatewayContainer
from services.gateway.monitoring import routes as monitoring_routes
from services.gateway.monitoring import routes as monitoring_timer
from services.gateway.runs import orchestrator
from tests.gateways import SERVICE_TOKEN
from tests.integration.gateway.runs.stage_services import StageServices
from tests.servers import running

USE_CASE = "road_accidents"
SIGNAL = {"use_case": USE_CASE, "monitoring_run": "a" * 32, "reason": "Station Alder: the mean error has doubled."}
SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}", "X-Vigie-Service": "drift"}
Platform = Callable[..., Any]


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestrator, "CLAIM_SECONDS", 0.05)


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def log(client: TestClient) -> list[tuple[str, str]]:
    gateway: GatewayContainer = client.app.state.gateway  # type: ignore[attr-defined]
    with gateway.engine.connect() as connection:
        entries = query_entries(connection, AuditFilter(use_case=USE_CASE), 100)
    return [(entry["action"], entry["actor_name"]) for entry in reversed(entries)]


def test_a_signal_starts_one_retraining_with_the_data_that_is_there(platform: Platform, stages: StageServices) -> None:
    with platform() as client:
        first = client.post("/internal/retrainings", json=SIGNAL, headers=SERVICE)
        assert first.status_code == 200, first.text
        again = client.post("/internal/retrainings", json=SIGNAL, headers=SERVICE)
        assert again.json() == first.json(), "the same look starts one retraining"
        until(lambda: "promote" in stages.steps())
        assert stages.steps() == ["preprocess", "train", "evaluate", "gate", "promote"]
        assert ("retraining.signalled", "drift") in log(client)
        assert ("retraining.started", "drift") in log(client)


def test_where_promotions_need_approval_a_retraining_by_signal_waits_for_it(
    platform: Platform, stages: StageServices
) -> None:
    with platform(require_approval=True) as client:
        run = client.post("/internal/retrainings", json=SIGNAL, headers=SERVICE).json()["id"]
        until(lambda: client.get(f"/admin/retrainings/{run}").json()["state"] == "awaiting_approval")
        assert "promote" not in stages.steps()


def test_during_a_freeze_no_retraining_is_started(platform: Platform, stages: StageServices) -> None:
    with platform() as client:
        assert client.post("/admin/freeze", json={"reason": "storm"}).is_success
        answer = client.post("/internal/retrainings", json=SIGNAL, headers=SERVICE)
        assert answer.status_code == 409
        assert "storm" in answer.text
        assert stages.steps() == []


def test_while_a_retraining_has_not_ended_no_other_is_started(platform: Platform) -> None:
    with platform(require_approval=True) as client:
        run = client.post("/internal/retrainings", json=SIGNAL, headers=SERVICE).json()["id"]
        until(lambda: client.get(f"/admin/retrainings/{run}").json()["state"] == "awaiting_approval")
        next_look = SIGNAL | {"monitoring_run": "b" * 32}
        refused = client.post("/internal/retrainings", json=next_look, headers=SERVICE)
        assert refused.status_code == 409
        assert "has not ended" in refused.text
        elsewhere = SIGNAL | {"monitoring_run": "c" * 32, "use_case": "wine_quality"}
        assert client.post("/internal/retrainings", json=elsewhere, headers=SERVICE).status_code == 200
        client.post(f"/admin/retrainings/{run}/reject")
        assert client.post("/internal/retrainings", json=next_look, headers=SERVICE).status_code == 200


def test_monitoring_says_why_the_gateway_started_none() -> None:
    gateway = FastAPI()
    add_exception_handlers(gateway)

    @gateway.post("/internal/retrainings")
    def refuse() -> None:
        raise ConflictError("A retraining of toy has not ended.")

    with running(RequestIdMiddleware(gateway)) as url:
        desk = GatewayClient(Settings(gateway_url=url, service_token=SecretStr(SERVICE_TOKEN)))
        with pytest.raises(ConflictError, match=r"^A retraining of toy has not ended\.$"):
            desk.retrain("toy", "a" * 32, "drifted")


def test_people_and_strangers_cannot_signal(platform: Platform) -> None:
    with platform() as client:
        assert client.post("/internal/retrainings", json=SIGNAL).status_code == 401
        body = {"use_case": USE_CASE, "version": 1, "reason": ""}
        assert client.post("/internal/rollbacks", json=body).status_code == 401


def test_a_rollback_goes_to_training_once_and_only_for_the_champion(
    platform: Platform, stages: StageServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Champion:
        number, aliases = 7, ("champion",)

    monkeypatch.setattr(monitoring_routes, "list_versions", lambda *_: [Champion()])
    stages.results["rollback"] = ("succeeded", {"version": 6, "rolled_back": 7})
    with platform() as client:
        body = {"use_case": USE_CASE, "version": 7, "reason": "Worse on the same calls."}
        for _ in range(2):
            assert client.post("/internal/rollbacks", json=body, headers=SERVICE).status_code == 200
        assert stages.steps() == ["rollback"]
        other = client.post("/internal/rollbacks", json=body | {"version": 6}, headers=SERVICE)
        assert other.status_code == 409
        assert ("model.rollback_asked", "drift") in log(client)
        assert ("model.rolled_back", "drift") in log(client)


def test_with_airflow_a_signal_updates_the_asset_that_the_dag_follows(platform: Platform) -> None:
    events: list[dict[str, Any]] = []
    running_now: list[dict[str, Any]] = []
    airflow = FastAPI()

    @airflow.post("/airflow/auth/token", status_code=201)
    def token() -> dict[str, str]:
        return {"access_token": "t"}

    @airflow.get("/airflow/api/v2/assets")
    def assets(name_pattern: str) -> dict[str, Any]:
        names = ["drift_signal_road_accidents_2", f"drift_signal_{USE_CASE}"]
        found = [{"id": number, "name": name} for number, name in enumerate(names, 40) if name_pattern in name]
        return {"assets": found, "total_entries": len(found)}

    @airflow.post("/airflow/api/v2/assets/events")
    def event(body: dict[str, Any]) -> dict[str, Any]:
        events.append(body)
        return {"id": 5, **body}

    @airflow.get("/airflow/api/v2/dags/~/dagRuns")
    def dag_runs() -> dict[str, Any]:
        return {"dag_runs": running_now, "total_entries": len(running_now)}

    with (
        running(airflow) as url,
        platform(airflow_url=f"{url}/airflow", airflow_password="airflow password 1") as client,
    ):
        answer = client.post("/internal/retrainings", json=SIGNAL, headers=SERVICE)
        assert answer.json() == {"id": "asset-event-5", "backend": "airflow"}
        assert [item["asset_id"] for item in events] == [41]
        assert events[0]["extra"]["monitoring_run"] == "a" * 32
        assert ("retraining.signalled", "drift") in log(client)

        begun = {"dag_id": f"retrain_{USE_CASE}", "dag_run_id": "by hand", "state": "running"}
        running_now.append(begun | {"run_after": "2026-11-01T03:00:00Z"})
        refused = client.post("/internal/retrainings", json=SIGNAL | {"monitoring_run": "b" * 32}, headers=SERVICE)
        assert refused.status_code == 409
        assert "2026-11-01 03:00 UTC" in refused.text
        assert len(events) == 1


def test_without_airflow_the_gateway_has_every_use_case_looked_at_once_in_a_while(
    platform: Platform, stages: StageServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring_timer, "TIMER_SECONDS", 0.05)
    with platform(gateway_monitor_hours=24):
        until(lambda: USE_CASE in {use_case for step, use_case, *_ in stages.submitted if step == "monitor"})
        time.sleep(0.3)
        looked = [use_case for step, use_case, *_ in stages.submitted if step == "monitor"]
        assert len(looked) == len(set(looked))


def test_an_operator_has_the_calls_looked_at_now(platform: Platform, stages: StageServices) -> None:
    with platform() as client:
        answer = client.post(f"/admin/monitoring/{USE_CASE}/runs", json={"report": False})
        assert answer.status_code == 202
        assert stages.submitted == [("monitor", USE_CASE, {"report": False, "act": True}, "admin")]
        assert ("monitoring.started", "admin") in log(client)


def test_a_platform_without_a_drift_service_says_so(platform: Platform) -> None:
    with platform(drift_url=None) as client:
        answer = client.get(f"/admin/monitoring/{USE_CASE}")
        assert answer.status_code == 503
        assert "VIGIE_DRIFT_URL" in answer.text
