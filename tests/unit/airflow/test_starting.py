"""How Airflow's processes are set up from Vigie's settings, and asked how they are. Nothing here imports Airflow."""

from __future__ import annotations

import importlib.util
import json
import socket
import sqlite3
import stat
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

from services.core.errors import VigieError
from services.core.settings import CHECKOUT
from vigie_orchestration.environment import airflow_environment, password_file, passwords
from vigie_orchestration.healthcheck import health_problem
from vigie_orchestration.settings import AirflowSettings, OrchestrationSettings


@pytest.fixture(scope="module")
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vigie_airflow_start", CHECKOUT / "airflow" / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])  # the script adds to it
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def chosen(tmp_path: Path) -> AirflowSettings:
    return AirflowSettings(
        _env_file=None,
        home=tmp_path,
        password="the-admins-password",
        operator_password="the-operators-password",
        jwt_secret="s" * 64,
    )


def test_accounts_come_from_the_environment_into_a_file_that_only_airflow_reads(
    start: ModuleType, chosen: AirflowSettings
) -> None:
    start.write_passwords(chosen)
    path = password_file(chosen)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"admin": "the-admins-password", "operator": "the-operators-password"}


def test_the_operator_cannot_change_settings(chosen: AirflowSettings) -> None:
    assert airflow_environment(chosen)["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin,operator:op"


def test_there_is_no_default_password(chosen: AirflowSettings) -> None:
    with pytest.raises(VigieError, match="has no password") as told:
        passwords(chosen.model_copy(update={"password": None}))
    assert "VIGIE_AIRFLOW_PASSWORD" in told.value.expected


def test_there_is_no_default_secret(chosen: AirflowSettings) -> None:
    with pytest.raises(VigieError, match="no secret to sign"):
        airflow_environment(chosen.model_copy(update={"jwt_secret": None}))


def test_keys_are_derived_from_the_secret_and_differ_from_each_other(chosen: AirflowSettings) -> None:
    made = airflow_environment(chosen)
    keys = {made["AIRFLOW__CORE__FERNET_KEY"], made["AIRFLOW__API__SECRET_KEY"], made["AIRFLOW__API_AUTH__JWT_SECRET"]}
    assert len(keys) == 3
    assert airflow_environment(chosen) == made


@pytest.mark.parametrize("given", ["postgresql://u:p@h/airflow", "postgresql+psycopg://u:p@h/airflow"])
def test_postgresql_is_reached_with_the_driver_that_airflow_knows(chosen: AirflowSettings, given: str) -> None:
    made = airflow_environment(chosen.model_copy(update={"database_url": given}))
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql+psycopg2://u:p@h/airflow"


def test_tasks_reach_their_api_below_the_same_path_as_people(chosen: AirflowSettings) -> None:
    made = airflow_environment(chosen.model_copy(update={"url": "http://airflow-api:8080/airflow/"}))
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://airflow-api:8080/airflow/execution/"
    assert made["AIRFLOW__API__BASE_URL"].endswith("/airflow")


def test_dags_start_unpaused_without_examples_and_with_few_processes(chosen: AirflowSettings) -> None:
    made = airflow_environment(chosen)
    assert made["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "False"
    assert made["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert made["AIRFLOW__CORE__PARALLELISM"] == "4"


@pytest.mark.parametrize("component", ["scheduler", "triggerer"])
def test_logs_are_served_on_no_port(start: ModuleType, chosen: AirflowSettings, component: str) -> None:
    assert "--skip-serve-logs" in start.command(chosen, component)


def test_an_unknown_component_is_refused(start: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert start.main(["webserver"]) == 2
    assert "usage" in capsys.readouterr().err


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_REQUIRE_APPROVAL", "")
    assert OrchestrationSettings(_env_file=None).require_approval is False


# --- checks -----------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    monkeypatch.setenv("VIGIE_AIRFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("VIGIE_AIRFLOW_DATABASE_URL", raising=False)
    connection = sqlite3.connect(tmp_path / "airflow.db")
    connection.execute("CREATE TABLE job (job_type TEXT, state TEXT, hostname TEXT, latest_heartbeat TEXT)")
    return connection


def beat(database: sqlite3.Connection, *, ago: timedelta, host: str = "", state: str = "running") -> None:
    moment = (datetime.now(UTC) - ago).replace(tzinfo=None).isoformat(" ")
    row = ("SchedulerJob", state, host or socket.gethostname(), moment)
    database.execute("INSERT INTO job VALUES (?, ?, ?, ?)", row)
    database.commit()


def test_a_scheduler_with_a_fresh_heartbeat_is_healthy(database: sqlite3.Connection) -> None:
    beat(database, ago=timedelta(seconds=5))
    assert health_problem("scheduler", root=CHECKOUT) is None


def test_a_silent_scheduler_is_not(database: sqlite3.Connection) -> None:
    beat(database, ago=timedelta(minutes=5))
    assert "is silent since" in str(health_problem("scheduler", root=CHECKOUT))


def test_another_hosts_heartbeat_does_not_count(database: sqlite3.Connection) -> None:
    beat(database, ago=timedelta(seconds=5), host="another")
    assert health_problem("scheduler", root=CHECKOUT) is not None


def test_another_components_heartbeat_does_not_count(database: sqlite3.Connection) -> None:
    beat(database, ago=timedelta(seconds=5))
    assert health_problem("triggerer", root=CHECKOUT) is not None


def test_a_stopped_scheduler_is_not_healthy(database: sqlite3.Connection) -> None:
    beat(database, ago=timedelta(seconds=5), state="success")
    assert health_problem("scheduler", root=CHECKOUT) is not None


def test_without_a_database_nothing_is_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_AIRFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("VIGIE_AIRFLOW_DATABASE_URL", raising=False)
    assert "cannot be asked" in str(health_problem("scheduler", root=CHECKOUT))


@pytest.mark.parametrize(("state", "healthy"), [("healthy", True), ("unhealthy", False)])
def test_the_api_server_is_healthy_when_its_database_is(
    monkeypatch: pytest.MonkeyPatch, state: str, healthy: bool
) -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"metadatabase": {"status": state}}).encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Health)
    answering = Thread(target=server.handle_request)
    answering.start()
    monkeypatch.setenv("VIGIE_AIRFLOW_PORT", str(server.server_address[1]))
    assert (health_problem("api-server", root=CHECKOUT) is None) is healthy
    answering.join()
    server.server_close()
