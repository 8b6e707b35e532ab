"""Monitoring of the whole stack: every panel shows something, an alert becomes a banner, a call tells its story."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.platform_client import USE_CASES, Platform, example_calls, wait_for
from tests.e2e.stack import Stack
from tests.panel_queries import faults

pytestmark = pytest.mark.docker

NOT_HERE = ("vigie_certificate_",)
"""The stack of the tests speaks HTTP."""
STORM = {"scenario": "storm", "rate": 20, "seconds": 60, "speed": 600, "use_cases": list(USE_CASES)}
FAILING_JOB = """
import json, os, urllib.request as u
from services.core.auth.service_credentials import service_headers
job = {"use_case": "wine_quality", "step": "ingest", "options": {"source": "/nowhere"}, "idempotency_key": "%s"}
headers = service_headers(os.environ["VIGIE_SERVICE_TOKEN"], "gateway", "ingestion")
headers["Content-Type"] = "application/json"
print(u.urlopen(u.Request("http://ingestion:8601/jobs", json.dumps(job).encode(), headers)).read().decode())
"""


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[httpx.Client]:
    """An operator's browser, signed in at the edge."""
    with httpx.Client(base_url=stack.address, timeout=60) as client:
        signed_in = client.post("/auth/session", json={"username": "admin", "password": stack.admin_password})
        assert signed_in.status_code == 200, signed_in.text
        yield client


@pytest.fixture(scope="module")
def prometheus(stack: Stack, browser: httpx.Client) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{stack.address}/prometheus", timeout=60, cookies=browser.cookies) as client:
        yield client


@pytest.fixture(scope="module")
def busy(platform: Platform, trained: None, key: str) -> None:
    """A minute of simulated calls with their outcomes, live ones among them, and a look of the drift service at each
    use case that was called."""
    simulation = platform.post("/admin/simulations", STORM)
    for _ in range(40):
        for call in example_calls():
            assert platform.with_key(key, "POST", call["path"], json=call["body"]).status_code == 200
        time.sleep(0.5)
    wait_for(
        "the end of the storm",
        lambda: platform.get(f"/admin/simulations/{simulation['id']}")["state"] in {"finished", "failed", "stopped"},
        seconds=240,
        every=3,
    )
    for use_case in USE_CASES:
        asked = f"/admin/monitoring/{use_case}"
        platform.post(f"{asked}/runs", {"report": False, "act": False}, expect=(200, 201, 202))
        wait_for(f"a look at {use_case}", lambda asked=asked: platform.get(f"{asked}/runs"), seconds=180)  # type: ignore[misc]


def test_every_panel_has_data(prometheus: httpx.Client, busy: None) -> None:
    found = faults(prometheus, without=NOT_HERE, seconds=120, minutes=60)
    assert not found, "\n".join(map(str, found))


def test_everything_that_belongs_to_the_platform_is_scraped(prometheus: httpx.Client) -> None:
    targets = prometheus.get("/api/v1/targets").json()["data"]["activeTargets"]
    assert {target["labels"]["job"] for target in targets} == {
        "prometheus", "alertmanager", "edge", "prediction", "gateway", "ingestion", "preprocessing", "training",
        "drift", "simulator", "dashboard",
    }  # fmt: skip


def test_no_rule_fails(prometheus: httpx.Client) -> None:
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"] == []


def test_a_failed_job_becomes_a_banner_and_an_entry_of_the_audit_log(stack: Stack, platform: Platform) -> None:
    """Posted to the service itself, so that the alert is about a job and nothing else of the platform is touched."""
    said = json.loads(stack.run_in("gateway", "python", "-S", "-c", FAILING_JOB % uuid.uuid4().hex))
    assert said["state"] in {"queued", "running", "failed"}

    def shown() -> dict[str, Any] | None:
        alerts = platform.get("/admin/alerts")["alerts"]
        return next((one for one in alerts if (one["name"], one["use_case"]) == ("JobFailed", "wine_quality")), None)

    alert = wait_for("the banner", shown, seconds=180, every=2)
    assert alert["severity"] == "ticket"
    assert alert["summary"]["fr"] == "La tâche ingest de wine_quality a échoué."
    assert alert["runbook"] == "docs/runbooks/job-failed.md"
    entries = platform.get("/admin/audit", params={"action": "alert.opened"})["entries"]
    assert "JobFailed" in {entry["target"] for entry in entries}


def test_one_search_tells_the_story_of_a_call(stack: Stack, platform: Platform, key: str) -> None:
    identity = f"story-{uuid.uuid4().hex[:12]}"
    call = example_calls()[0]
    answer = platform.with_key(key, "POST", call["path"], json=call["body"], headers={"X-Request-Id": identity})
    assert answer.status_code == 200, answer.text

    def told() -> list[dict[str, Any]]:
        logs = stack.compose("logs", "--no-log-prefix", "edge", "prediction").stdout.decode(errors="replace")
        # Compose may clear the line of a terminal that is none.
        lines = [json.loads(line[line.index("{") :]) for line in logs.splitlines() if identity in line and "{" in line]
        return lines if len(lines) == 2 else []

    edge, stored = sorted(wait_for("both lines", told, seconds=60, every=3), key=lambda line: "calls" in line)
    assert (edge["status"], edge["request_id"]) == (200, identity)
    assert any(entry.startswith(f"{identity} {USE_CASES[0]} live ") for entry in stored["calls"])
    rows = f"SELECT count(*) FROM predictions WHERE request_id = '{identity}'"  # noqa: S608 - made above
    assert stack.query("vigie", rows) == ["1"]


def test_alertmanager_is_for_operators(stack: Stack, browser: httpx.Client) -> None:
    assert httpx.get(f"{stack.address}/alertmanager/").status_code == 401
    assert "<html" in browser.get("/alertmanager/").text.lower()
