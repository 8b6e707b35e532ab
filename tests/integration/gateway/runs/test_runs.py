"""Retrainings that the gateway drives itself: step by step, to an end, and through restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.core.audit.log import AuditFilter, query_entries
from services.core.jobs.tables import RunRow
from services.core.steps import STEPS
from services.gateway.container import GatewayContainer
from services.gateway.runs import orchestrator
from services.gateway.runs import store as runs_store
from tests.gateways import PASSWORD, make_gateway
from tests.integration.gateway.runs.stage_services import StageServices
from tests.servers import running

USE_CASE = "road_accidents"
ALL = [step.name for step in STEPS]


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestrator, "CLAIM_SECONDS", 0.05)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[StageServices, str]]:
    stages = StageServices()
    with running(stages.app) as url:
        yield stages, url


@pytest.fixture
def stages(served: tuple[StageServices, str]) -> StageServices:
    served[0].begin_anew()
    return served[0]


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """SQLite, unless the test says ``database``."""
    kind = request.getfixturevalue("database") if "database" in request.fixturenames else "sqlite"
    made: Engine = request.getfixturevalue(f"{kind}_engine")
    return made


@pytest.fixture
def platform(
    engine: Engine, tmp_path: Path, stages: StageServices, served: tuple[StageServices, str]
) -> Callable[..., Any]:
    """Starts a gateway beside the stage services, as a context."""

    @contextmanager
    def started(**changed: Any) -> Iterator[TestClient]:
        urls = dict.fromkeys(("ingestion_url", "preprocessing_url", "training_url"), served[1])
        app = make_gateway(tmp_path, engine, **(urls | changed))
        app.state.runner._poll = 0.05
        with TestClient(app, base_url="https://vigie.test") as client:
            form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
            token = client.post("/auth/token", data=form).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield client

    return started


def _retrain(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/admin/retrainings", json={"use_case": USE_CASE, "source": "simulator"} | body)
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    return run


def _until(client: TestClient, run: dict[str, Any], *states: str) -> dict[str, Any]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(f"/admin/retrainings/{run['id']}").json()
        if found["state"] in states:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the run is {found['state']}, not {states}: {found}")


def _log(client: TestClient) -> list[tuple[str, str, str]]:
    gateway: GatewayContainer = client.app.state.gateway  # type: ignore[attr-defined]
    with gateway.engine.connect() as connection:
        entries = query_entries(connection, AuditFilter(use_case=USE_CASE), 100)
    return [(entry["action"], entry["outcome"], entry["actor_name"]) for entry in reversed(entries)]


def test_a_retraining_goes_through_all_steps_in_order(platform: Callable[..., Any], stages: StageServices) -> None:
    with platform() as client:
        found = _until(client, _retrain(client, force=True), "succeeded", "failed")
        assert found["state"] == "succeeded", found
        assert stages.steps() == ALL
        told = {step: options for step, _, options, _ in stages.submitted}
        assert told["ingest"] == {"source": "simulator", "fresh": False}
        assert told["gate"] == {"force": True}
        assert told["promote"] == {"approved": 3}
        assert {who for *_, who in stages.submitted} == {"admin"}
        words = [(action, outcome) for action, outcome, _ in _log(client)]
        assert words == [("retraining.started", "ok"), ("retraining.succeeded", "ok")]


def test_without_a_source_it_starts_with_the_data_that_is_there(
    platform: Callable[..., Any], stages: StageServices
) -> None:
    with platform() as client:
        _until(client, _retrain(client, source="none"), "succeeded")
        assert stages.steps() == ALL[1:]


def test_what_the_gate_refuses_is_not_promoted(platform: Callable[..., Any], stages: StageServices) -> None:
    stages.results["gate"] = ("succeeded", {"promote": False, "version": 3, "reasons": ["It is worse."]})
    with platform() as client:
        found = _until(client, _retrain(client), "succeeded")
        assert stages.steps() == ALL[:-1]
        assert found["steps"][-1] == {
            "step": "promote",
            "service": "training",
            "state": "skipped",
            "result": {"reasons": ["It is worse."]},
        }


def test_a_failing_step_ends_the_run_with_its_reason(platform: Callable[..., Any], stages: StageServices) -> None:
    stages.results["train"] = ("failed", {})
    with platform() as client:
        found = _until(client, _retrain(client), "failed")
        assert found["error"]["problem"] == "train: It broke."
        assert stages.steps() == ALL[:3]
        assert ("retraining.failed", "failed", "admin") in _log(client)


def test_an_interrupted_job_is_run_again(platform: Callable[..., Any], stages: StageServices) -> None:
    stages.results["train"] = ("interrupted", {})
    with platform() as client:
        _until(client, _retrain(client), "succeeded")


def test_an_approval_is_waited_for_and_then_acted_on(platform: Callable[..., Any], stages: StageServices) -> None:
    with platform() as client:
        run = _until(client, _retrain(client, require_approval=True), "awaiting_approval")
        assert stages.steps() == ALL[:-1]
        assert client.post(f"/admin/retrainings/{run['id']}/approve").status_code == 200
        _until(client, run, "succeeded")
        assert stages.steps() == ALL
        assert "retraining.approved" in {action for action, *_ in _log(client)}


def test_a_rejected_model_is_not_promoted(platform: Callable[..., Any], stages: StageServices) -> None:
    with platform() as client:
        run = _until(client, _retrain(client, require_approval=True), "awaiting_approval")
        assert client.post(f"/admin/retrainings/{run['id']}/reject").json()["state"] == "rejected"
        time.sleep(0.3)
        assert stages.steps() == ALL[:-1]
        assert client.post(f"/admin/retrainings/{run['id']}/approve").status_code == 409


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_run_goes_on_after_the_gateways_restart_without_a_second_job(
    platform: Callable[..., Any], stages: StageServices, database: str
) -> None:
    stages.held.add("train")
    with platform() as client:
        run = _retrain(client)
        while "train" not in stages.steps():
            time.sleep(0.02)
    stages.held.clear()
    with platform() as client:
        _until(client, run, "succeeded")
    assert stages.steps() == ALL


def test_a_run_of_a_gateway_that_was_killed_is_taken_over(
    platform: Callable[..., Any], stages: StageServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.held.add("train")
    with platform() as client:
        run = _retrain(client)
        # As a killed one: it leaves its runs without a word.
        monkeypatch.setattr(client.app.state.runner, "_release", lambda: None)
    stages.held.clear()
    with platform() as client:
        gateway: GatewayContainer = client.app.state.gateway
        time.sleep(0.3)
        assert client.get(f"/admin/retrainings/{run['id']}").json()["state"] in {"queued", "running"}
        with gateway.transaction() as session:
            row = session.get_one(RunRow, run["id"])
            assert row.owned_until is not None
            row.owned_until -= runs_store.LEASE
        _until(client, run, "succeeded")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_two_gateways_carry_a_run_on_once(platform: Callable[..., Any], stages: StageServices, database: str) -> None:
    with platform() as one, platform() as other:
        _until(other, _retrain(one), "succeeded")
        time.sleep(0.2)
        assert [action for action, *_ in _log(one)].count("retraining.succeeded") == 1
    assert stages.steps() == ALL


def test_a_service_that_comes_back_in_time_is_waited_for(platform: Callable[..., Any], stages: StageServices) -> None:
    stages.held.add("preprocess")
    with platform() as client:
        run = _retrain(client)
        stages.away = True
        time.sleep(0.3)
        stages.away = False
        stages.held.clear()
        _until(client, run, "succeeded")


def test_a_service_that_stays_away_fails_the_run_in_time(platform: Callable[..., Any], stages: StageServices) -> None:
    stages.held.add("preprocess")
    with platform(gateway_stage_patience_seconds=0.2) as client:
        run = _retrain(client)
        while "preprocess" not in stages.steps():
            time.sleep(0.02)
        stages.away = True
        found = _until(client, run, "failed")
        assert "does not answer" in found["error"]["problem"]


def test_a_service_that_does_not_answer_is_told_at_once_and_nothing_is_started(
    platform: Callable[..., Any], stages: StageServices
) -> None:
    stages.away = True
    with platform() as client:
        answer = client.post("/admin/ingestions", json={"use_case": USE_CASE})
        assert answer.status_code == 503
        assert "ingestion does not answer" in answer.json()["errors"][0]["reason"]
        assert client.get("/admin/ingestions").json()["runs"] == []
        assert ("ingestion.started", "failed", "admin") in _log(client)


def test_the_same_idempotency_key_is_the_same_run(platform: Callable[..., Any], stages: StageServices) -> None:
    with platform() as client:
        headers = {"Idempotency-Key": "button-pressed-twice"}
        first = client.post("/admin/ingestions", json={"use_case": USE_CASE}, headers=headers)
        second = client.post("/admin/ingestions", json={"use_case": USE_CASE}, headers=headers)
        assert (first.status_code, second.status_code) == (202, 200)
        assert first.json()["id"] == second.json()["id"]
        other = client.post("/admin/ingestions", json={"use_case": USE_CASE, "fresh": True}, headers=headers)
        assert other.status_code == 409
        assert stages.steps() == ["ingest"]


def test_promoting_and_rolling_back_are_jobs_and_stand_in_the_log(
    platform: Callable[..., Any], stages: StageServices
) -> None:
    stages.results["rollback"] = ("succeeded", {"version": 2, "rolled_back": 3})
    with platform() as client:
        promoted = client.post(f"/admin/models/{USE_CASE}/promote", json={"version": 3}).json()
        back = client.post(f"/admin/models/{USE_CASE}/rollback", json={"reason": "odd answers"}).json()
        assert (promoted["state"], back["result"]["version"]) == ("succeeded", 2)
        assert [options for _, _, options, _ in stages.submitted] == [{"version": 3}, {}]
        assert [action for action, *_ in _log(client)] == [
            "model.promote_asked",
            "model.promoted",
            "model.rollback_asked",
            "model.rolled_back",
        ]


def test_while_frozen_nothing_is_promoted_and_a_rollback_works(
    platform: Callable[..., Any], stages: StageServices
) -> None:
    with platform() as client:
        assert client.post("/admin/freeze", json={"reason": "flood in the valley"}).json()["frozen"] is True
        answer = client.post(f"/admin/models/{USE_CASE}/promote", json={"version": 3})
        assert answer.status_code == 409
        assert "flood in the valley" in answer.json()["errors"][0]["reason"]
        assert stages.steps() == []
        assert client.post(f"/admin/models/{USE_CASE}/rollback", json={}).status_code == 200
        assert client.delete("/admin/freeze").json()["frozen"] is False
        assert client.post(f"/admin/models/{USE_CASE}/promote", json={"version": 3}).status_code == 200


def test_jobs_of_services_that_answer_are_shown_beside_those_that_do_not(
    platform: Callable[..., Any], stages: StageServices
) -> None:
    with platform(training_url="http://127.0.0.1:9") as client:
        client.post("/admin/ingestions", json={"use_case": USE_CASE})
        found = client.get("/admin/jobs").json()
        assert list(found["silent"]) == ["training"]
        assert found["jobs"][0]["step"] == "ingest"
