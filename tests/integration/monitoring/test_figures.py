"""What every service tells Prometheus: names and units by Prometheus's conventions, labels whose values are bounded."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from services.core.auth.principal import Role
from services.core.database.connection import make_engine
from services.core.jobs.metrics import JobMetrics
from services.core.jobs.options import JobSettings
from services.core.paths import VigiePaths
from services.core.web.stage_service import create_stage_app
from services.drift.api import register_metrics
from services.ingestion.service import register_row_metrics
from services.training.service import register_decision_metrics
from tests.access_subjects import SERVICE_TOKEN, SUBJECTS, Subject
from tests.gateways import sqlite_copy, sqlite_template
from tests.prometheus_tools import program

PREFIXES = ("vigie_", "http_", "process_", "python_")
LABELS = {
    "use_case", "version", "source", "decision", "kind", "outcome", "origin", "step", "state", "reason", "grant",
    "subject", "service", "backend", "dependency", "mode", "severity", "change", "table", "target", "metric", "way",
    "handler", "method", "status", "generation", "le", "quantile", "role",
}  # fmt: skip
"""Every one has few values, which the code or a declaration names: none is a person, a call, a centre or an address."""


def _stage(service: str, figures: Callable[[JobMetrics, VigiePaths, str], None]) -> Callable[[Path], FastAPI]:
    def made(home: Path) -> FastAPI:
        engine = sqlite_copy(sqlite_template(home), home)
        engine.dispose()
        url = engine.url.render_as_string()
        settings = JobSettings.model_validate({"VIGIE_HOME": home, "service_token": SERVICE_TOKEN, "database_url": url})
        return create_stage_app(
            service, "X", "nothing.runs", settings, figures=lambda counters: figures(counters, settings.home, url)
        )

    return made


APPS: dict[str, Callable[[Path], FastAPI]] = {
    **{name: (lambda home, make=make: make(home).app) for name, make in SUBJECTS.items()},  # type: ignore[misc]
    "ingestion": _stage("ingestion", lambda counters, home, _: register_row_metrics(counters, home)),
    "preprocessing": _stage("preprocessing", lambda *_: None),
    "training": _stage("training", lambda counters, *_: register_decision_metrics(counters)),
    "drift": _stage("drift", lambda counters, _, url: register_metrics(counters, make_engine(url))),
}


@pytest.fixture(scope="module", params=APPS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text that one service gives Prometheus."""
    app = APPS[request.param](tmp_path_factory.mktemp(request.param))
    client = TestClient(app)
    assert client.get("/nothing/here").status_code == 404
    return client.get("/metrics").text


def families(text: str) -> Iterator[Metric]:
    return (family for family in text_string_to_metric_families(text) if not family.name.endswith("_created"))


def test_prometheus_finds_no_fault_with_names_units_and_help(told: str) -> None:
    kept = "\n".join(line for line in told.splitlines() if "_created" not in line) + "\n"
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_figure_is_named_by_what_it_belongs_to_and_has_help(told: str) -> None:
    for family in families(told):
        assert family.name.startswith(PREFIXES), family.name
        assert len(family.documentation) > 10, family.name
        if family.name.startswith("vigie_"):
            assert not re.search(r"_(milliseconds|ms|minutes|hours|days|mb|kb|percent)(_|$)", family.name), family.name


def test_labels_are_those_that_are_known_to_be_bounded(told: str) -> None:
    found = {label for family in families(told) for sample in family.samples for label in sample.labels}
    if "python_info" in told:
        found -= {"implementation", "major", "minor", "patchlevel"}
    assert found <= LABELS


def test_every_service_tells_rate_errors_and_durations_of_requests_and_what_it_uses(told: str) -> None:
    names = {family.name for family in families(told)}
    assert names >= {
        "http_requests",
        "http_request_duration_seconds",
        "process_cpu_seconds",
        "process_resident_memory_bytes",
        "vigie_disk_free_bytes",
        "vigie_disk_size_bytes",
    }
    (handled,) = [family for family in families(told) if family.name == "http_requests"]
    assert {sample.labels["handler"] for sample in handled.samples} == {"none"}, (
        "an unknown path has no label of its own"
    )


# --- what callers send makes no series ------------------------------------------------------------------------


def series(client: TestClient) -> set[str]:
    lines = client.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


CALL = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}


@pytest.fixture
def prediction(tmp_path: Path) -> Subject:
    return SUBJECTS["prediction"](tmp_path)


def _odd_requests(client: TestClient, subject: Subject, number: int) -> None:
    key = {"X-API-Key": subject.key(Role.DISPATCHER, None), "X-Request-Id": f"odd-{number}"}
    client.post("/v1/toy/predict", json=CALL | {"distance": number + 1}, headers=key)
    client.post("/v1/toy/predict", json=CALL | {"town": f"town {number}"}, headers=key)
    client.post("/v1/toy/predict", json=CALL, headers=key | {"X-Vigie-Call-Kind": f"kind-{number}"})
    client.post("/v1/toy/predict", json=CALL, headers={"X-API-Key": f"vig_{number}"})
    client.get(f"/v1/{number}/predict")
    client.get(f"/{number}/metrics?x={number}")


def test_whatever_callers_send_there_are_no_new_series(prediction: Subject) -> None:
    client = TestClient(prediction.app)
    _odd_requests(client, prediction, 0)
    before = series(client)
    for number in range(1, 40):
        _odd_requests(client, prediction, number)
    assert series(client) == before
    assert not [one for one in before if re.search(r"odd-|town|kind-0|vig_", one)]


def test_calls_are_counted_by_kind_and_by_how_they_end(prediction: Subject) -> None:
    client = TestClient(prediction.app)
    key = {"X-API-Key": prediction.key(Role.DISPATCHER, None)}
    client.post("/v1/toy/predict", json=CALL, headers=key)
    client.post("/v1/toy/predict", json=CALL, headers=key | {"X-Vigie-Call-Kind": "exercise"})
    client.post("/v1/toy/predict", json={}, headers=key)
    client.post("/v1/toy/predict", json=CALL)
    client.post("/v1/toy/explain", json=CALL, headers=key)
    counted = {
        (sample.labels["kind"], sample.labels["outcome"]): sample.value
        for family in families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == "vigie_call_duration_seconds_count"
    }
    assert len(counted) == 9, "all are there from the start, so that the first failure is an increase"
    assert {key: value for key, value in counted.items() if value} == {
        ("live", "answered"): 1,
        ("exercise", "answered"): 1,
        ("live", "refused"): 2,
    }
