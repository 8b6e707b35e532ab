"""The stage services' interface."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from services.core import use_case_registry
from services.core.database.connection import Base
from services.core.jobs.queue import JobQueue
from services.core.jobs.tables import JobResult, JobRow, JobState
from services.core.web.app_factory import create_service_app
from services.core.web.job_routes import create_job_router

TOKEN = "t" * 32
USE_CASE = use_case_registry.names()[0]


class NoWorker:
    woken = 0

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[TestClient, JobQueue, NoWorker]]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine, tables=[JobRow.__table__])  # type: ignore[list-item]
    queue, worker = JobQueue(engine, "training"), NoWorker()
    app = create_service_app(service="training", title="Trial", docs="/docs", service_token=SecretStr(TOKEN))
    app.include_router(create_job_router("training", queue, worker))  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Vigie-Service": "gateway", "X-Vigie-On-Behalf-Of": "jeanne"}
    with TestClient(app, headers=headers) as client:
        yield client, queue, worker
    engine.dispose()


@pytest.fixture
def client(parts: tuple[TestClient, JobQueue, NoWorker]) -> TestClient:
    return parts[0]


@pytest.fixture
def queue(parts: tuple[TestClient, JobQueue, NoWorker]) -> Iterator[JobQueue]:
    queue = parts[1]
    yield queue
    for job in queue.newest(limit=500):
        queue.cancel(job.id)


def _body(key: str, **changes: Any) -> dict[str, Any]:
    return {"use_case": USE_CASE, "step": "train", "options": {}, "idempotency_key": key, **changes}


def test_a_job_is_accepted_once_for_its_key(parts: tuple[TestClient, JobQueue, NoWorker], queue: JobQueue) -> None:
    client, _, worker = parts
    woken = worker.woken
    first = client.post("/jobs", json=_body("the-key-1"))
    again = client.post("/jobs", json=_body("the-key-1"))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["location"] == f"/jobs/{first.json()['id']}"
    assert (first.headers["x-vigie-new"], again.headers["x-vigie-new"], worker.woken) == ("yes", "no", woken + 1)
    assert (first.json()["state"], first.json()["requested_by"]) == ("queued", "jeanne")
    other = client.post("/jobs", json=_body("the-key-1", step="evaluate"))
    assert (other.status_code, other.json()["errors"][0]["type"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("changes", "field", "allowed"),
    [
        ({"step": "ingest"}, "step", "train, evaluate, gate, promote, rollback"),
        ({"use_case": "nothing"}, "use_case", USE_CASE),
        ({"use_case": "all"}, "use_case", USE_CASE),
        ({"options": {"speed": 3}}, "options.speed", "no options"),
        ({"step": "gate", "options": {"force": "perhaps"}}, "options.force", ""),
        ({"step": "promote", "options": {"version": 0}}, "options.version", ""),
        ({"idempotency_key": "short"}, "idempotency_key", ""),
        ({"idempotency_key": "a key with blanks"}, "idempotency_key", ""),
        ({"color": "red"}, "color", ""),
    ],
)
def test_what_a_service_cannot_do_is_refused_with_what_it_can(
    client: TestClient, changes: dict[str, Any], field: str, allowed: str
) -> None:
    answer = client.post("/jobs", json=_body("the-key-2", **changes))
    assert answer.status_code == 422
    [told] = answer.json()["errors"]
    assert told["field"] == field
    assert allowed in told["allowed"]


def test_options_are_stored_with_their_defaults(client: TestClient, queue: JobQueue) -> None:
    job = client.post("/jobs", json=_body("the-key-3", step="gate", options={"force": "True"})).json()
    assert job["options"] == {"force": True}
    job = client.post("/jobs", json=_body("the-key-4", step="promote")).json()
    assert job["options"] == {"version": None, "approved": None}


def test_jobs_are_listed_and_told(client: TestClient, queue: JobQueue) -> None:
    job = client.post("/jobs", json=_body("the-key-5")).json()
    assert client.get(f"/jobs/{job['id']}").json() == job
    assert client.get("/jobs", params={"state": "queued", "use_case": USE_CASE, "limit": 1}).json() == [job]
    assert client.get("/jobs", params={"state": "sleeping"}).status_code == 422
    assert client.get(f"/jobs/{'0' * 32}").status_code == 404


def test_waiting_answers_as_soon_as_the_job_has_ended(client: TestClient, queue: JobQueue) -> None:
    job = client.post("/jobs", json=_body("the-key-6")).json()
    began = time.monotonic()
    assert client.get(f"/jobs/{job['id']}", params={"wait": 0.05}).json()["state"] == "queued"

    def end() -> None:
        claimed = queue.claim("me", 15)
        assert claimed is not None
        queue.finish(claimed.id, "me", JobResult(JobState.SUCCEEDED, {"state": "new"}))

    later = threading.Timer(0.05, end)
    later.start()
    told = client.get(f"/jobs/{job['id']}", params={"wait": 30}).json()
    later.join()
    assert (told["state"], told["result"]) == ("succeeded", {"state": "new"})
    assert time.monotonic() - began < 20
    assert client.get(f"/jobs/{job['id']}", params={"wait": 31}).status_code == 422


def test_a_job_is_cancelled_and_retried(client: TestClient, queue: JobQueue) -> None:
    job = client.post("/jobs", json=_body("the-key-7")).json()
    cancelled = client.delete(f"/jobs/{job['id']}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert cancelled.json()["error"]["problem"] == "The job was cancelled."
    retried = client.post(f"/jobs/{job['id']}/retry")
    assert (retried.status_code, retried.json()["state"]) == (202, "queued")


def test_every_route_for_jobs_asks_for_the_services_credential(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            role = operation["x-required-role"]
            assert role == ("service" if path.startswith("/jobs") else "public")
            if role == "service":
                wrong = {"Authorization": "Bearer " + "x" * 32}
                answer = client.request(method, path.replace("{id}", "0" * 32), headers=wrong)
                assert answer.status_code == 401, f"{method} {path}"
                tried += 1
    assert tried == 5
