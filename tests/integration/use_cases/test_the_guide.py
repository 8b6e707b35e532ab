"""docs/add-a-use-case.md, followed to the letter for the data that scikit-learn carries: written in a temporary folder,
trained on the real table, served by a real prediction service, called. Nothing else is changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cli.local_platform.ports import free_port
from services.cli.local_platform.supervisor import wait_until
from services.core import use_case_registry
from services.core.settings import CHECKOUT
from tests.installed_packages import install
from tests.the_guide import GUIDE, NAME, code_lines, follow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the package, installed, and the real table."""
    folder = tmp_path_factory.mktemp("guide")
    package = follow(folder / "project")
    assert code_lines(package) <= 150
    install(folder / "project", "vigie-diabetes", {NAME: NAME})
    from sklearn.datasets import load_diabetes

    table = load_diabetes(as_frame=True, scaled=False).frame
    (folder / "table").mkdir()
    table.assign(sex=table["sex"].astype(int)).to_csv(folder / "table" / "diabetes.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
    path = os.pathsep.join([str(CHECKOUT), str(folder / "project")])
    return clean | {"VIGIE_HOME": str(folder / "home"), "PYTHONPATH": path}


@pytest.fixture(scope="module")
def trained(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """What ``./vigie run`` says of the real table."""
    command = ["run", NAME, "--source", str(folder / "table"), "--json"]
    done = _vigie(command, environment)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.fixture(scope="module")
def service(trained: dict[str, Any], environment: dict[str, str]) -> Iterator[httpx.Client]:
    """A prediction service with the champion in service; ``trained`` has put it into the registry."""
    port = free_port(0)
    own = {"VIGIE_PREDICTION_PORT": str(port), "VIGIE_PREDICTION_ACCESS": "open", "VIGIE_LOG_LEVEL": "WARNING"}
    process = subprocess.Popen([sys.executable, "-m", "services.prediction"], cwd=CHECKOUT, env=environment | own)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        try:
            assert wait_until(lambda: _source(client) == "champion", seconds=240)
            yield client
        finally:
            process.terminate()
            process.wait(60)


def test_the_first_model_beats_the_tables_mean_on_patients_it_did_not_learn_from(trained: dict[str, Any]) -> None:
    assert (trained["promoted"], trained["version"]) == (True, 1)


def test_the_guides_own_call_is_answered_by_the_model(service: httpx.Client) -> None:
    (body,) = re.findall(r"^  -d '(.*)'$", GUIDE.read_text(), flags=re.MULTILINE)
    answer = service.post(f"/v1/{NAME}/predict", json=json.loads(body))
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["source"], said["simulated"]) == ("champion", False)
    found = said["answer"]
    assert 25 <= found["lower"] < found["value"] < found["upper"] <= 400
    # The table's first patient, whose value is 151; the mean is 152 and the spread 77.
    assert 100 < found["value"] < 250


def test_a_wrong_call_is_refused_with_the_field(service: httpx.Client) -> None:
    answer = service.post(f"/v1/{NAME}/predict", json={"age": 400})
    assert answer.status_code == 422
    assert "age" in answer.text


def test_its_documentation_has_the_fields_and_their_words(service: httpx.Client) -> None:
    schema = service.get("/v1/openapi.json").json()["components"]["schemas"]["DiabetesRequest"]
    assert schema["properties"]["bp"]["title"] == "Pressure"
    assert schema["properties"]["bp"]["x-title-fr"] == "Tension"


def test_the_tests_that_were_written_with_it_hold(folder: Path, environment: dict[str, str]) -> None:
    command = ["pytest", "-q", "-p", "no:cacheprovider", "-c", str(CHECKOUT / "pyproject.toml"), "-n", "0"]
    done = subprocess.run(
        [sys.executable, "-m", *command, str(folder / "project" / "tests")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_it_is_nowhere_but_in_its_folder() -> None:
    assert NAME not in use_case_registry.names()
    named = ["git", "grep", "-l", "-i", NAME, "--", "services", "airflow", "params.yaml", "dvc.yaml", "pyproject.toml"]
    assert subprocess.run(named, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout == ""


def _vigie(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def _source(client: httpx.Client) -> str:
    try:
        served = {item["name"]: item["source"] for item in client.get("/v1/use-cases").json()}
    except httpx.TransportError:
        return "not yet"
    return str(served[NAME])
