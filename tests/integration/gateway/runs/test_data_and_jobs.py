"""What operators see of data and jobs through the gateway, asked of real stage services: one of ingestion, whose jobs
hold until they are released, and one of preprocessing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.core import use_case_registry as declared
from services.core.jobs.options import JobSettings
from services.core.params import Ingest, Preprocess, Simulate
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT
from services.core.web.stage_service import create_stage_app
from services.ingestion.service import IngestionSettings
from services.ingestion.service import data_router as ingestion_data
from services.ingestion.stage.ingest import ingest
from services.preprocessing.service import PreprocessingSettings
from services.preprocessing.service import data_router as preprocessing_data
from services.preprocessing.stage.preprocess import preprocess
from tests.gateways import PASSWORD, SERVICE_TOKEN, make_gateway
from tests.servers import running

TRIAL = "tests.integration.core.jobs.trial_jobs"
ROWS = [f"D{n:04d},2024-01-{n % 28 + 1:02d}T10:00:00Z,3.5,parcel,east,700,small" for n in range(60)]
BAD = ["D9001,2024-01-01T10:00:00Z,far,parcel,east,700,small", "D9002,2024-01-01T10:00:00Z,away,parcel,east,700,small"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With the toy's data published, two rows of it in quarantine."""
    monkeypatch.setenv("VIGIE_EXTRA_USE_CASES", "tests.toy")
    monkeypatch.setenv("VIGIE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    declared.packages.cache_clear()
    declared.get.cache_clear()
    state = tmp_path / "states" / "toy" / "1"
    landing = state / "data" / "toy" / "landing"
    landing.mkdir(parents=True)
    header = "delivery_id,called_at,distance,kind,town,seconds,size"
    (landing / "a.csv").write_text("\n".join([header, *ROWS, *BAD]) + "\n")
    ingest("toy", state, Ingest(simulate=Simulate(rows=40, days=3)))
    preprocess("toy", state, Preprocess())
    (tmp_path / "current").mkdir()
    (tmp_path / "current" / "toy").symlink_to("../states/toy/1")
    yield tmp_path
    declared.packages.cache_clear()
    declared.get.cache_clear()


@pytest.fixture
def client(home: Path, sqlite_engine: Engine) -> Iterator[TestClient]:
    url = sqlite_engine.url.render_as_string()
    given = {"VIGIE_HOME": home, "service_token": SERVICE_TOKEN, "database_url": url}
    ingesting = IngestionSettings.model_validate(given)
    first = create_stage_app("ingestion", "I", TRIAL, ingesting, routers=[ingestion_data(ingesting)])
    making = PreprocessingSettings.model_validate(given)
    second = create_stage_app("preprocessing", "P", TRIAL, making, routers=[preprocessing_data(making)])
    third = create_stage_app("training", "T", TRIAL, JobSettings.model_validate(given))
    with running(first) as a, running(second) as b, running(third) as c:
        urls = {"ingestion_url": a, "preprocessing_url": b, "training_url": c}
        with TestClient(make_gateway(home, sqlite_engine, **urls), base_url="https://vigie.test") as made:
            form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
            token = made.post("/auth/token", data=form).json()["access_token"]
            made.headers["Authorization"] = f"Bearer {token}"
            yield made


def _until(client: TestClient, job_id: str, *states: str) -> dict[str, Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(f"/admin/jobs/{job_id}").json()
        if found["state"] in states:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the job is {found['state']}, not {states}")


def _hold(client: TestClient, seconds: int) -> str:
    source = {"use_case": "toy", "source": f"hold {seconds}"}
    run = client.post("/admin/ingestions", json=source)
    assert run.status_code == 202, run.text
    return str(run.json()["steps"][0]["job_id"])


def test_data_tables_quarantine_and_examples_are_told(client: TestClient) -> None:
    found = client.get("/admin/data/toy").json()
    raw = found["raw"]
    assert raw["tables"] == [{"name": "deliveries", "optional": False, "rows": 60}]
    assert raw["quarantine"]["rows"] == 2
    assert [(entry["table"], entry["rows"]) for entry in raw["quarantine"]["reasons"]] == [("deliveries", 2)]
    assert raw["quarantine"]["first"][0]["line"] == "62"
    assert "far" in raw["quarantine"]["first"][0]["row"]
    assert raw["files"][0]["name"] == "a.csv"
    assert found["examples"]["rows"] == 60
    assert found["silent"] == {}


def test_a_folder_is_checked_before_it_is_ingested_and_nothing_is_stored(client: TestClient, home: Path) -> None:
    drop = home / "drop" / "toy"
    drop.mkdir(parents=True)
    header = "delivery_id,called_at,distance,kind,town,seconds,size"
    (drop / "new.csv").write_text("\n".join([header, *ROWS[:3]]) + "\n")
    (drop / "page.csv").write_text("<html><body>503</body></html>")
    before = client.get("/admin/data/toy").json()
    found = client.get("/admin/data/toy/preview").json()
    (file,) = found["files"]
    assert (file["file"], file["table"], file["rows"]) == ("new.csv", "deliveries", 3)
    assert file["sample"][0]["delivery_id"] == "D0000"
    assert "a web page" in found["left_aside"]["page.csv"]
    assert found["refusals"] == []
    assert client.get("/admin/data/toy").json() == before
    elsewhere = client.get("/admin/data/toy/preview", params={"folder": "/etc"})
    assert elsewhere.status_code in {400, 422}
    assert "may not read" in elsewhere.text


def test_codes_to_confirm_are_checked_when_an_ingestion_is_asked_for(client: TestClient) -> None:
    refused = client.post("/admin/ingestions", json={"use_case": "toy", "confirm": "everything"})
    assert refused.status_code == 422


def test_a_use_case_without_data_is_empty_and_no_error(client: TestClient) -> None:
    found = client.get("/admin/data/wine_quality").json()
    assert (found["raw"], found["examples"], found["silent"]) == (None, None, {})
    assert client.get("/admin/data/wine_quality/profile").status_code == 404


def test_the_picture_of_the_examples_comes_through(client: TestClient) -> None:
    found = client.get("/admin/data/toy/profile").json()
    assert found["rows"] == 60
    assert set(found["fields"]) == {"called_at", "distance", "kind", "town"}


def test_a_profile_is_read_where_release_0_1_0_wrote_it(client: TestClient, home: Path) -> None:
    data = VigiePaths(home).data("toy")
    (data / "profile.json").rename(data / "examples" / "profile.json")
    try:
        assert client.get("/admin/data/toy/profile").json()["rows"] == 60
    finally:
        (data / "examples" / "profile.json").rename(data / "profile.json")


def test_a_job_is_cancelled_runs_again_and_both_are_in_the_audit_log(client: TestClient) -> None:
    job = _hold(client, 60)
    assert _until(client, job, "running")["progress"] is not None
    assert client.post(f"/admin/jobs/{job}/cancel").status_code == 202
    _until(client, job, "cancelled")

    assert client.post(f"/admin/jobs/{job}/retry").status_code == 202
    _until(client, job, "queued", "running")
    client.post(f"/admin/jobs/{job}/cancel")
    _until(client, job, "cancelled")
    entries = client.get("/admin/audit", params={"action": "job.*"}).json()["entries"]
    assert [entry["action"] for entry in entries] == ["job.cancelled", "job.retried", "job.cancelled"]
    assert entries[0]["actor_name"] == "admin"


def test_a_job_shows_its_log_and_a_finished_one_does_not_run_again(client: TestClient) -> None:
    job = _hold(client, 0)
    found = _until(client, job, "succeeded")
    assert "hold: begun" in found["progress"]
    assert "printed by hold" in found["log_tail"]
    assert client.post(f"/admin/jobs/{job}/retry").status_code == 409


def test_a_job_that_nobody_has_is_not_there(client: TestClient) -> None:
    assert client.get(f"/admin/jobs/{'0' * 32}").status_code == 404
    assert client.post(f"/admin/jobs/{'0' * 32}/cancel").status_code == 404


def test_what_files_last_came_is_told_by_source(client: TestClient) -> None:
    """The trial's results name no source, so there is none to tell of; see the unit tests for one that does."""
    _until(client, _hold(client, 0), "succeeded")
    assert client.get("/admin/data/toy").json()["raw"]["last_successes"] == []


def test_retention_is_what_the_service_says_that_removes(client: TestClient) -> None:
    found = client.get("/admin/retention").json()
    assert found["days"]["toy"] == 365
    assert found["jobs_days"] == 90
    assert found["last_run"] is None


def test_the_platform_tells_which_parts_are_up_and_which_are_not_there(client: TestClient) -> None:
    parts = {part["name"]: part for part in client.get("/admin/platform").json()["parts"]}
    assert parts["ingestion"]["state"] == "up"
    assert parts["ingestion"]["milliseconds"] > 0
    assert parts["grafana"] == {
        "name": "grafana",
        "state": "absent",
        "address": None,
        "milliseconds": None,
        "reason": "",
    }


def test_the_audit_log_is_verified_on_request_and_says_what_was_changed(
    client: TestClient, sqlite_engine: Engine
) -> None:
    assert client.get("/admin/audit/verification").json()["intact"] is True
    with sqlite_engine.begin() as connection:
        for name in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql("UPDATE audit_entries SET actor_name = 'nobody' WHERE sequence = 1")
    found = client.get("/admin/audit/verification").json()
    assert found["intact"] is False
    assert "Entry 1 was changed." in found["faults"]
