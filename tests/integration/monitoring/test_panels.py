"""Every panel of every dashboard shows something on the running platform, and nothing that nobody measures."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.monitoring.local_stack import LocalStack, call, local_stack, look_at_drift, train
from tests.panel_queries import faults, queries

pytestmark = pytest.mark.slow

NOT_HERE = ("caddy_", "vigie_airflow_", "vigie_certificate_", "vigie_database_connections")
"""There is no edge, no Airflow and no PostgreSQL among local processes: tests/e2e/test_monitoring.py has these."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with local_stack(tmp_path_factory.mktemp("stack")) as made:
        train(made)
        call(made)
        look_at_drift(made)
        yield made


@pytest.fixture(scope="module")
def prometheus(stack: LocalStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.prometheus, timeout=30) as client:
        yield client


def test_every_panel_has_data(prometheus: httpx.Client) -> None:
    found = faults(prometheus, without=NOT_HERE, seconds=60)
    assert not found, "\n".join(map(str, found))


def test_most_panels_were_tried(prometheus: httpx.Client) -> None:
    left_out = [query for query in queries() if any(name.startswith(NOT_HERE) for name in query.metrics)]
    assert len(left_out) <= 5, [str(query) for query in left_out]


def test_every_target_is_up(prometheus: httpx.Client) -> None:
    targets = prometheus.get("/api/v1/targets").json()["data"]["activeTargets"]
    assert {target["labels"]["job"]: target["lastError"] for target in targets if target["health"] != "up"} == {}
    assert {target["labels"]["job"] for target in targets} >= {
        "prometheus", "alertmanager", "prediction", "gateway", "ingestion", "preprocessing", "training", "drift",
        "simulator", "dashboard",
    }  # fmt: skip


def test_no_rule_fails(prometheus: httpx.Client) -> None:
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    wrong = {
        rule["name"]: rule.get("lastError") for group in groups for rule in group["rules"] if rule["health"] == "err"
    }
    assert groups
    assert wrong == {}


def test_what_fires_reaches_the_banner(stack: LocalStack, prometheus: httpx.Client) -> None:
    """There is no edge here, so that it is absent: after five minutes that alert would fire, and others may."""
    firing = {
        alert["labels"]["alertname"]
        for alert in prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
        if alert["state"] == "firing"
    }
    until = time.monotonic() + 30
    while firing - (shown := {one["name"] for one in stack.ask("gateway", "GET", "/admin/alerts")["alerts"]}):
        assert time.monotonic() < until, f"{firing - shown} fire and are not shown"
        time.sleep(1)
