"""The command line from raw files to a served answer, as a person uses it, on the tiny use case."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.local_platform import secrets
from services.cli.local_platform.ports import Ports, free_port
from services.cli.local_platform.supervisor import Supervisor, wait_until
from services.core import settings as core_settings
from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT
from services.prediction import settings as prediction_settings
from tests.unit.cli.test_command_table import loaded

# What the module shares takes seconds to make: in one of pytest-xdist's processes, not in each.

REQUEST = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}


@dataclass(frozen=True, slots=True)
class Vigie:
    home: Path
    port: int

    def __call__(self, *arguments: str) -> Result:
        """Run a command in this process; its stages and servers are processes of their own."""
        with capture_logs():  # main() sends them to standard error
            result = CliRunner().invoke(app, list(arguments), prog_name="./vigie")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str) -> dict[str, Any]:
        """What a command prints with ``--json``: one object and nothing else, also for a program that reads it all."""
        printed: dict[str, Any] = json.loads(self(*arguments).stdout)
        return printed


def _forget() -> None:
    for cached in (
        core_settings.settings,
        prediction_settings.settings,
        use_case_registry.packages,
        use_case_registry.get,
    ):
        cached.cache_clear()


@pytest.fixture(scope="module")
def vigie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vigie]:
    """A home with one promoted version of the tiny use case."""
    command = Vigie(tmp_path_factory.mktemp("vigie") / "home", free_port(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIGIE_HOME", str(command.home))
        patch.setenv("VIGIE_EXTRA_USE_CASES", "tests.toy")
        for part in Ports().wanted():
            patch.setenv(f"VIGIE_{part.upper()}_PORT", str(command.port if part == "prediction" else free_port(0)))
        patch.setenv("VIGIE_ALIAS_POLL_SECONDS", "0.3")
        patch.setenv("VIGIE_GATEWAY_FIRST_TRAINING", "false")
        patch.setenv("PYTHONPATH", str(CHECKOUT))
        _forget()
        assert command.json("run", "toy", "--source", "simulator", "--json")["promoted"] is True
        yield command
        command("down")
    _forget()


def test_every_command_explains_itself(vigie: Vigie) -> None:
    listed = vigie("--help").stdout
    commands = "run ingest preprocess train evaluate promote rollback models predict up down status simulate"
    for name in (*commands.split(), "doctor", "demo", "test", "new-use-case"):
        assert name in listed
        assert "Usage: ./vigie " + name in vigie(name, "--help").stdout


def test_predict_answers_from_the_champion_and_says_that_its_data_was_simulated(vigie: Vigie) -> None:
    answer = json.loads(vigie("predict", "toy", json.dumps(REQUEST)).stdout)
    assert (answer["source"], answer["model_version"], answer["simulated"]) == ("champion", "1", True)
    assert answer["answer"]["seconds"]["lower"] < answer["answer"]["seconds"]["upper"]


@pytest.mark.parametrize("command", [["models", "toy"], ["predict", "toy", "--example"]], ids=" ".join)
def test_reading_the_registry_imports_neither_mlflow_nor_pandas(vigie: Vigie, command: list[str]) -> None:
    found = loaded(vigie.home, *command)
    assert "services" in found
    assert not found & {"mlflow", "pandas", "sklearn", "sqlalchemy", "alembic", "fastapi", "xgboost"}


def test_a_wrong_request_is_answered_with_the_field_and_what_is_allowed(vigie: Vigie) -> None:
    with pytest.raises(VigieError, match="distance: "):
        vigie("predict", "toy", json.dumps({**REQUEST, "distance": -1}))
    with pytest.raises(VigieError, match="not JSON"):
        vigie("predict", "toy", "{")


def test_evaluate_scores_the_champion_on_a_folder_as_one_json_object(vigie: Vigie, tmp_path: Path) -> None:
    use_case_registry.get("toy").simulator.write(tmp_path, seed=3, rows=300, start="2024-09-01", days=20)
    report = json.loads(vigie("evaluate", "toy", "--data", str(tmp_path), "--json").stdout)
    assert (report["use_case"], report["version"], report["rows"]) == ("toy", "1", 300)
    assert set(report["metrics"]) == {"seconds", "late", "size", "seconds_town_unknown"}
    assert set(report["metrics"]["seconds"]) == {"mae", "rmse", "r2", "coverage_90"}
    assert report["metrics"]["seconds"]["mae"] < 120
    assert report["learned_rows"] == 0


def test_evaluate_says_how_many_rows_the_champion_learned_from(vigie: Vigie, tmp_path: Path) -> None:
    landed = vigie.home / "current" / "toy" / "data" / "toy" / "landing"
    for path in landed.rglob("*.csv"):
        shutil.copy(path, tmp_path / path.name)
    report = vigie.json("evaluate", "toy", "--data", str(tmp_path), "--json")
    # Its test rows are among them, and they alone were not learned from.
    assert 0.5 * report["rows"] < report["learned_rows"] < report["rows"]
    shown = vigie("evaluate", "toy", "--data", str(tmp_path)).stdout
    assert "test rows" not in shown.splitlines()[0]
    assert f"learned from {report['learned_rows']:,} of them" in " ".join(shown.split())


def test_evaluate_without_json_prints_a_table(vigie: Vigie, tmp_path: Path) -> None:
    use_case_registry.get("toy").simulator.write(tmp_path, seed=3, rows=300, start="2024-09-01", days=20)
    shown = vigie("evaluate", "toy", "--data", str(tmp_path)).stdout.splitlines()
    assert shown[0] == "toy version 1: 300 test rows"
    assert shown[1].split() == ["target", "metric", "model"]
    assert "{" not in "".join(shown)
    of_candidate = vigie("evaluate", "toy").stdout.splitlines()
    assert of_candidate[1].split() == ["target", "metric", "model", "baseline"]


def test_every_command_with_json_prints_one_object(vigie: Vigie) -> None:
    assert set(vigie.json("models", "toy", "--json")) == {"toy"}
    assert vigie.json("evaluate", "toy", "--json")["rows"] > 0
    result = vigie("run", "toy", "--source", "simulator", "--json")
    assert "test rows" in result.stderr
    assert json.loads(result.stdout)["use_case"] == "toy"


def test_a_second_run_on_the_same_data_promotes_nothing(vigie: Vigie) -> None:
    result = vigie.json("run", "toy", "--source", "simulator", "--json")
    assert (result["version"], result["promoted"]) == (1, False)


def test_rollback_without_a_previous_version_says_what_to_do(vigie: Vigie) -> None:
    with pytest.raises(VigieError, match="no previous version") as raised:
        vigie("rollback", "toy")
    assert "promote toy NUMBER" in raised.value.action


def test_the_data_of_a_version_comes_back_and_a_wrong_name_is_refused(vigie: Vigie, tmp_path: Path) -> None:
    vigie("data", "checkout", "toy@1", str(tmp_path / "back"))
    assert (tmp_path / "back" / "examples" / "examples.parquet").is_file()
    with pytest.raises(VigieError) as raised:
        vigie("data", "checkout", "toy", str(tmp_path / "x"))
    assert "USE_CASE@NUMBER" in raised.value.expected


def test_a_folder_without_files_of_the_use_case_is_refused_and_nothing_changes(vigie: Vigie, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    before = (vigie.home / "current" / "toy").resolve()
    with pytest.raises(VigieError):
        vigie("ingest", "toy", "--source", str(tmp_path))
    assert (vigie.home / "current" / "toy").resolve() == before


def test_a_taken_port_is_named_and_nothing_is_started(vigie: Vigie) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", vigie.port))
        other.listen()
        with pytest.raises(VigieError, match=f"Port {vigie.port} .prediction. is taken") as raised:
            vigie("up", "--without", "airflow")
    assert "VIGIE_PREDICTION_PORT" in raised.value.action
    assert Supervisor(VigiePaths(vigie.home)).pid() is None


@pytest.mark.slow
def test_the_platform_starts_serves_the_champion_and_stops(vigie: Vigie) -> None:
    started = vigie("up", "--without", "airflow")
    shown = started.stdout
    assert "platform without Airflow (about 30 s)" in started.stderr
    assert "make them with ./vigie run " in shown, "the platform was told not to train by itself"
    assert "will be trained" not in shown
    password = secrets.ensure(VigiePaths(vigie.home)).values["VIGIE_GATEWAY_ADMIN_PASSWORD"]
    assert f"First login (shown once): user admin, password {password}" in shown
    assert str(vigie.home / "secrets.env") in shown

    processes = Supervisor(VigiePaths(vigie.home))
    assert f"Open {next(state.address for state in processes.states() if state.name == 'dashboard')}" in shown
    at = {state.name: state.address for state in processes.states()}
    login = {"grant_type": "password", "username": "admin", "password": password}
    token = httpx.post(f"{at['gateway']}/auth/token", data=login, timeout=60).json()["access_token"]
    with httpx.Client(base_url=at["prediction"], headers={"Authorization": f"Bearer {token}"}, timeout=60) as caller:
        assert wait_until(lambda: _served(caller).get("source") == "champion", seconds=180)
        answer = caller.post("/v1/toy/predict", json=REQUEST).json()
    offline = json.loads(vigie("predict", "toy", json.dumps(REQUEST)).stdout)
    assert answer["answer"] == offline["answer"]

    status = vigie("status")
    assert status.exit_code == 0
    assert status.stdout.count("healthy") == len([state for state in processes.states() if not state.once])
    assert password not in status.stdout

    vigie("down")
    assert processes.orphans() == []
    assert vigie("status").exit_code == 1


def _served(caller: httpx.Client) -> dict[str, str]:
    """What the service says of the use case; nothing while it does not know the caller yet."""
    answer = caller.get("/v1/use-cases")
    return next((item for item in answer.json() if item["name"] == "toy"), {}) if answer.is_success else {}
