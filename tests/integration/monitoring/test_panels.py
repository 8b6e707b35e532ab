"""Every panel of every dashboard shows something on the running platform, and nothing that nobody measures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

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
    found = faults(prometheus, without=NOT_HERE, seconds=180)
    assert not found, "\n".join(map(str, found))


def test_most_panels_were_tried(prometheus: httpx.Client) -> None:
    left_out = [query for query in queries() if any(name.startswith(NOT_HERE) for name in query.metrics)]
    assert len(left_out) <= 5, [str(query) for query in left_out]


def test_every_target_is_up(prometheus: httpx.Client) -> None:
    until = time.monotonic() + 90
    while down := {one["labels"]["job"]: one["lastError"] for one in _targets(prometheus) if one["health"] != "up"}:
        assert time.monotonic() < until, down
        time.sleep(1)
    targets = _targets(prometheus)
    assert {target["labels"]["job"] for target in targets} >= {
        "prometheus", "alertmanager", "prediction", "gateway", "ingestion", "preprocessing", "training", "drift",
        "simulator", "dashboard",
    }  # fmt: skip


def _targets(prometheus: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = prometheus.get("/api/v1/targets").json()["data"]["activeTargets"]
    return found


def test_no_rule_fails(prometheus: httpx.Client) -> None:
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    wrong = {
        rule["name"]: rule.get("lastError") for group in groups for rule in group["rules"] if rule["health"] == "err"
    }
    assert groups
    assert wrong == {}


def test_what_fires_reaches_the_banner(stack: LocalStack, prometheus: httpx.Client) -> None:
    """There is no edge here, so that it is absent: after five minutes that alert would fire, and others may."""

    def firing() -> set[str]:
        alerts = prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def shown() -> set[str]:
        return {one["name"] for one in stack.ask("gateway", "GET", "/admin/alerts")["alerts"]}

    until = time.monotonic() + 120
    while missing := firing() - shown():
        assert time.monotonic() < until, f"{missing} fire and are not shown"
        time.sleep(1)
