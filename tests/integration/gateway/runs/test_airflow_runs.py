"""Where there is an Airflow, runs go through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.core import use_case_registry as declared
from services.core.errors import UnavailableError
from services.gateway.runs import orchestrator
from services.gateway.runs import service as runs_service
from tests.gateways import PASSWORD, make_gateway
from tests.integration.gateway.runs.airflow_api import PASSWORD as AIRFLOW_PASSWORD
from tests.integration.gateway.runs.airflow_api import AirflowApi
from tests.integration.gateway.runs.stage_services import StageServices
from tests.servers import running

USE_CASE = "road_accidents"
Platform = Callable[..., Any]


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestrator, "CLAIM_SECONDS", 0.05)
    monkeypatch.setattr(runs_service, "FIRST_TRAINING_RETRY_SECONDS", 0.05)


@pytest.fixture
def airflow() -> AirflowApi:
    return AirflowApi()


@pytest.fixture
def platform(sqlite_engine: Engine, tmp_path: Path) -> Platform:
    @contextmanager
    def started(**changed: Any) -> Iterator[TestClient]:
        app = make_gateway(tmp_path, sqlite_engine, **changed)
        app.state.runner._poll = 0.05
        with TestClient(app, base_url="https://vigie.test") as client:
            form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
            token = client.post("/auth/token", data=form).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield client

    return started


@pytest.fixture
def client(platform: Platform, airflow: AirflowApi) -> Iterator[TestClient]:
    with (
        running(airflow.app) as url,
        platform(airflow_url=f"{url}/airflow", airflow_password=AIRFLOW_PASSWORD) as made,
    ):
        yield made


def _until(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.03)
    return found


def test_a_retraining_is_a_run_of_its_dag(client: TestClient, airflow: AirflowApi) -> None:
    body = {"use_case": USE_CASE, "source": "simulator", "force": True, "require_approval": False}
    run = client.post("/admin/retrainings", json=body).json()
    assert (run["backend"], run["dag_id"]) == ("airflow", f"retrain_{USE_CASE}")
    assert airflow.runs[run["dag_id"], run["dag_run_id"]]["conf"] == {
        "source": "simulator",
        "force": True,
        "require_approval": False,
    }
    airflow.state = "success"
    _until(lambda: client.get(f"/admin/retrainings/{run['id']}").json()["state"] == "succeeded")


def test_a_run_that_fails_in_airflow_is_told(client: TestClient, airflow: AirflowApi) -> None:
    run = client.post("/admin/ingestions", json={"use_case": USE_CASE}).json()
    airflow.state = "failed"
    found = _until(lambda: (r := client.get(f"/admin/ingestions/{run['id']}").json())["state"] == "failed" and r)
    assert "failed in Airflow" in found["error"]["problem"]


def test_the_same_idempotency_key_starts_one_run(client: TestClient, airflow: AirflowApi) -> None:
    for expected in (202, 200):
        headers = {"Idempotency-Key": "pressed twice"}
        assert client.post("/admin/ingestions", json={"use_case": USE_CASE}, headers=headers).status_code == expected
    assert len(airflow.runs) == 1


def test_a_token_that_has_run_out_is_renewed(client: TestClient, airflow: AirflowApi) -> None:
    client.post("/admin/ingestions", json={"use_case": USE_CASE})
    airflow.tokens = {"after Airflow's restart"}
    assert client.post("/admin/ingestions", json={"use_case": USE_CASE}).status_code == 202


def test_airflows_own_runs_are_listed_too(client: TestClient, airflow: AirflowApi) -> None:
    run = client.post("/admin/retrainings", json={"use_case": USE_CASE}).json()
    scheduled = airflow.runs[run["dag_id"], run["dag_run_id"]] | {"dag_run_id": "scheduled__1"}
    airflow.runs[run["dag_id"], "scheduled__1"] = scheduled
    found = client.get("/admin/retrainings").json()["runs"]
    assert {entry["dag_run_id"] for entry in found} == {run["dag_run_id"], "scheduled__1"}


@pytest.mark.parametrize(("word", "option"), [("approve", "Approve"), ("reject", "Reject")])
def test_an_answer_is_handed_on_to_airflow(client: TestClient, airflow: AirflowApi, word: str, option: str) -> None:
    run = client.post("/admin/retrainings", json={"use_case": USE_CASE, "require_approval": True}).json()
    assert client.post(f"/admin/retrainings/{run['id']}/{word}").status_code == 409
    key = (run["dag_id"], run["dag_run_id"])
    airflow.ask(*key)
    _until(lambda: client.get(f"/admin/retrainings/{run['id']}").json()["state"] == "awaiting_approval")
    assert client.post(f"/admin/retrainings/{run['id']}/{word}").status_code == 200
    assert airflow.questions[key]["chosen_options"] == [option]


def test_an_unknown_dag_and_a_silent_airflow_are_told_at_once(client: TestClient, platform: Platform) -> None:
    answer = client.post("/admin/retrainings", json={"use_case": "fire_response"})
    assert answer.status_code == 503
    assert "no DAG" in answer.json()["errors"][0]["reason"]
    with platform(airflow_url="http://127.0.0.1:9/airflow") as without:
        answer = without.post("/admin/retrainings", json={"use_case": USE_CASE})
        assert answer.status_code == 503
        assert "Airflow does not answer" in answer.json()["errors"][0]["reason"]
        assert "airflow" in without.get("/admin/retrainings").json()["silent"]


def test_a_wrong_password_for_airflow_is_told(platform: Platform, airflow: AirflowApi) -> None:
    with running(airflow.app) as url, platform(airflow_url=f"{url}/airflow", airflow_password="wrong") as client:
        answer = client.post("/admin/retrainings", json={"use_case": USE_CASE})
        assert "name and password" in answer.json()["errors"][0]["reason"]


def _all_succeeded(client: TestClient) -> bool:
    states = [run["state"] for run in client.get("/admin/retrainings").json()["runs"]]
    return states == ["succeeded"] * len(declared.names())


def test_a_new_platform_trains_each_use_case_once_as_soon_as_the_registry_answers(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages, asked = StageServices(), []

    def versions(_: object, use_case: str) -> list[Any]:
        asked.append(use_case)
        if len(asked) < 4:
            raise UnavailableError("The registry does not answer.")
        return []

    monkeypatch.setattr(runs_service, "list_versions", versions)
    with running(stages.app) as url:
        urls = dict.fromkeys(("ingestion_url", "preprocessing_url", "training_url"), url)
        for _ in range(2):
            with platform(gateway_first_training=True, **urls) as client:
                _until(partial(_all_succeeded, client))
    assert sorted(use_case for step, use_case, *_ in stages.submitted if step == "train") == sorted(declared.names())
    assert {options["source"] for step, _, options, _ in stages.submitted if step == "ingest"} == {"auto"}


def test_a_first_training_waits_for_services_that_start_later(platform: Platform) -> None:
    stages = StageServices()
    stages.away = True
    with running(stages.app) as url:
        urls = dict.fromkeys(("ingestion_url", "preprocessing_url", "training_url"), url)
        with platform(gateway_first_training=True, gateway_stage_patience_seconds=0.05, **urls) as client:
            _until(lambda: len(client.get("/admin/retrainings").json()["runs"]) == len(declared.names()))
            time.sleep(0.3)
            stages.away = False
            _until(partial(_all_succeeded, client))


def test_what_has_a_model_is_not_trained(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def versions(_: object, use_case: str) -> list[str]:
        asked.append(use_case)
        return ["version 1"]

    monkeypatch.setattr(runs_service, "list_versions", versions)
    with platform(gateway_first_training=True) as client:
        _until(lambda: sorted(asked) == sorted(declared.names()))
        assert client.get("/admin/retrainings").json()["runs"] == []
