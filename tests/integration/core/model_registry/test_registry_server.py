"""The server that ``python -m services.registry`` starts, and the SQLite file below it, show the same."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mlflow.exceptions import MlflowException

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.errors import UnavailableError, VigieError
from services.core.model_registry.client import ModelRegistry
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT, Settings
from services.gateway.models.service import RunArtifacts, get_version, list_versions, read_plot, version_details
from services.registry.server import health_problem
from tests.integration.core.model_registry.conftest import registry_at

PASSWORDS = {user: f"password-of-{user}" for user in ("admin", "writer", "reader")}
READER = ("reader", PASSWORDS["reader"])


@pytest.fixture
def server(home: VigiePaths, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "VIGIE_HOME": str(home.root),
        "VIGIE_REGISTRY_PORT": str(port),
        "VIGIE_REGISTRY_PREFIX": "/mlflow",
        "VIGIE_REGISTRY_SECRET_KEY": "k" * 32,
        **{f"VIGIE_REGISTRY_{user.upper()}_PASSWORD": password for user, password in PASSWORDS.items()},
    }
    url = f"http://127.0.0.1:{port}/mlflow"
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.registry"], env=environment, cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 240
            while problem := health_problem(url, auth=READER):
                assert process.poll() is None, (tmp_path / "server.log").read_text()
                assert time.monotonic() < deadline, problem
                time.sleep(0.25)
            yield url
        finally:
            process.terminate()
            process.wait(60)


def _readable_by_the_gateway(server: str, tmp_path: Path) -> None:
    """Which has no files of the registry, only its address."""
    reading = Settings().model_copy(update={"home_path": tmp_path / "elsewhere", "registry_url": server})
    version = get_version(reading, "toy", 2)
    shown = version_details(reading, version)
    assert "seconds.train.rows" in shown.data
    assert "late-calibration.png" in shown.plots
    assert read_plot(reading, version, shown.plots[0]).startswith(b"\x89PNG")
    assert RunArtifacts(reading, version).json("gate.json") is None


@pytest.mark.slow
def test_server_and_file_show_each_others_versions_and_users_have_their_limits(  # noqa: PLR0915, PLR0917 - see its docstring; fixtures
    server: str,
    home: VigiePaths,
    registry: ModelRegistry,
    trained: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One server for all that is asked of it: starting it takes ten seconds."""

    def become(user: str, password: str | None = None) -> None:
        """MLflow's client reads these for each request."""
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password or PASSWORDS[user])

    become("writer")
    served = registry_at(home, server)

    by_server = served.log_run_and_register("toy", trained["good"])
    by_file = registry.log_run_and_register("toy", trained["better"])
    assert [v.number for v in served.versions("toy")] == [v.number for v in registry.versions("toy")] == [2, 1]

    for reader, version in ((registry, by_server), (served, by_file)):
        found = reader.version("toy", version.number)
        assert bundle_hash(read_manifest(reader.download(found, tmp_path / str(version.number)))) == found.bundle_hash
        assert reader.lock_file(found).startswith("schema")

    card = httpx.get(
        f"{server}/get-artifact",
        params={"path": "evaluation/model_card.md", "run_uuid": by_file.run_id},
        auth=READER,
        timeout=120,
    )
    assert card.text.startswith("# Deliveries"), "people read the card in the server's pages"

    become("reader")
    _readable_by_the_gateway(server, tmp_path)
    become("writer")

    registry.promote("toy", 1)
    served.promote("toy", 2)
    assert registry.by_alias("toy", "champion").number == 2
    assert served.rollback("toy").number == 1
    assert registry.by_alias("toy", "champion").number == 1
    assert served.by_alias("toy", "previous") is None
    assert served.by_alias("nothing", "champion") is None
    with pytest.raises(VigieError, match="no version 9"):
        served.version("toy", 9)

    # the check is refused where a client would be
    for wrong, code in (
        ({"host": "registry.example:5500", "auth": READER}, "403"),
        ({"auth": ("reader", "wrong")}, "401"),
        ({}, "401"),
    ):
        refused = health_problem(server, **wrong)
        assert refused is not None
        assert code in refused

    # not even the writer makes an experiment whose files lie elsewhere on the server's machine
    with pytest.raises(MlflowException, match="403"):
        served._client.create_experiment("elsewhere", artifact_location="file:///etc")
    assert served._client.create_experiment("here", artifact_location=(home.registry_artifacts / "here").as_uri())

    # the reader reads, and cannot register a version or move an alias
    become("reader")
    reader = registry_at(home, server)
    assert [version.number for version in reader.versions("toy")] == [2, 1]
    reader.download(reader.version("toy", 1), tmp_path / "read")
    for attempt in (
        lambda: reader.log_run_and_register("toy", trained["worse"]),
        lambda: reader._client.create_registered_model("mine"),
        lambda: reader._client.create_experiment("mine"),
        lambda: reader._client.set_registered_model_alias("toy", "champion", "2"),
        lambda: reader.promote("toy", 2),
    ):
        with pytest.raises((VigieError, MlflowException), match="403"):
            attempt()
    assert reader.by_alias("toy", "champion").number == 1
    searched = httpx.post(
        f"{server}/ajax-api/2.0/mlflow/runs/search",
        json={"experiment_ids": [registry._client.get_run(by_file.run_id).info.experiment_id]},
        auth=READER,
        timeout=120,
    )
    assert len(searched.json()["runs"]) == 2, "MLflow's own pages work for the reader"

    # the gateway asks by plain HTTP and sees the same
    chosen = Settings().model_copy(update={"home_path": home.root, "registry_url": server})
    assert list_versions(chosen, "toy") == reader.versions("toy")
    assert list_versions(chosen, "nothing") == []

    become("writer", "wrong password")
    with pytest.raises(UnavailableError, match="401"):
        list_versions(chosen, "toy")
    with pytest.raises(VigieError, match="401") as error:
        reader.by_alias("toy", "champion")
    assert "MLFLOW_TRACKING_PASSWORD" in error.value.action
    assert "wrong password" not in str(error.value)


def test_the_check_says_what_is_wrong_where_nothing_listens() -> None:
    problem = health_problem("http://127.0.0.1:9", timeout=1.0)
    assert problem is not None
    assert "does not answer" in problem
