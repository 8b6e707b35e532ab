"""A stage service to talk to, Airflow's library without Airflow's process, and one process of Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.integration.airflow.job_server import TOKEN, JobServer, running_then, succeeded

ROOT = Path(__file__).resolve().parents[3]
DRIVER = ROOT / "tests/integration/airflow/driver.py"
RUNS = {
    "promoted": ["retrain_toy", {"source": "simulator", "force": True}],
    "refused": ["retrain_toy", {}],
    "quiet day": ["ingest_toy", {}],
}


@pytest.fixture(scope="session")
def orchestration() -> SimpleNamespace:
    """The plugin's modules. Airflow is imported as a library: without database, configuration file and logging."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_AIRFLOW__AS_LIBRARY", "1")
        from vigie_orchestration import approval, dag_factory, job_operator, trigger

        modules: list[ModuleType] = [approval, job_operator, dag_factory, trigger]
        return SimpleNamespace(**{module.__name__.rpartition(".")[2]: module for module in modules})


@pytest.fixture(scope="session")
def _running_server() -> Iterator[JobServer]:
    server = JobServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(_running_server: JobServer, monkeypatch: pytest.MonkeyPatch) -> JobServer:
    """A stage service that is all three, for one test."""
    _running_server.forget()
    for name, value in environment(_running_server).items():
        monkeypatch.setenv(name, value)
    return _running_server


def environment(server: JobServer) -> dict[str, str]:
    return {
        "VIGIE_INGESTION_URL": server.url,
        "VIGIE_PREPROCESSING_URL": server.url,
        "VIGIE_TRAINING_URL": server.url,
        "VIGIE_SERVICE_TOKEN": TOKEN,
        "VIGIE_PUBLIC_URL": "https://vigie.example",
        "VIGIE_AIRFLOW_POLL_SECONDS": "0.02",
    }


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process of Airflow made of the DAGs and of ``RUNS``; see ``driver.py``."""
    folder = tmp_path_factory.mktemp("airflow")
    server = JobServer()
    server.start()
    passed = {"version": 3, "decision": "passed", "promote": True, "reasons": ["Better."], "run_id": "r1"}
    refused = {"version": 4, "decision": "refused", "promote": False, "reasons": ["Worse by 3 s."]}
    server.script["train"] = [running_then(succeeded())]
    server.script["ingest"] = [succeeded(changed=False)]
    server.in_turn["gate"] = [succeeded(**passed), succeeded(**refused)]
    told = _drive(folder, server)
    told["jobs"] = [(job["step"], job["options"]) for job in server.jobs.values()]
    server.stop()
    return told


def _drive(folder: Path, server: JobServer) -> dict[str, Any]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VIGIE_", "AIRFLOW"))}
    secrets = {"VIGIE_AIRFLOW_JWT_SECRET": "j" * 64, "VIGIE_AIRFLOW_PASSWORD": "p" * 20}
    extra = "tests.toy,tests.there_is_no_such_package"
    own = {"VIGIE_HOME": str(folder), "VIGIE_EXTRA_USE_CASES": extra, "HOME": str(folder)}
    path = os.pathsep.join([str(ROOT), str(ROOT / "airflow" / "plugins")])
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests/integration/airflow/driver.py"),
            json.dumps(RUNS),
            str(folder / "told.json"),
        ],
        env=clean | environment(server) | secrets | own | {"PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    told: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return {**told, "log": done.stdout}


@pytest.fixture(autouse=True)
def no_executor_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigie_orchestration.trigger_delay.SETTLE_SECONDS", 0.0)
