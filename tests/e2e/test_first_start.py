"""The first minutes: everything healthy, calls answered before there is a model, models made without being asked."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.platform_client import USE_CASES, Platform, champion_of, example_calls, wait_for
from tests.e2e.stack import Stack

pytestmark = pytest.mark.docker


def test_calls_are_answered_before_there_is_a_model(platform: Platform, key: str) -> None:
    for call in example_calls():
        answer = platform.with_key(key, "POST", call["path"], json=call["body"])
        assert answer.status_code == 200, answer.text
        assert answer.json()["source"] in {"baseline", "champion"}


def test_every_container_is_healthy_or_done(stack: Stack) -> None:
    states = stack.states()
    assert len(states) >= 15
    assert {name for name, state in states.items() if state != "healthy"} == {"migrate", "airflow-init"}
    assert {states["migrate"], states["airflow-init"]} == {"exited 0"}


def test_nothing_but_the_edge_is_published(stack: Stack) -> None:
    published = stack.published()
    assert published == {"edge": f"127.0.0.1:{stack.port}"}


@pytest.mark.parametrize("path", ["/internal/access-list", "/metrics", "/v1/metrics", "/jobs", "/health/ready"])
def test_what_is_for_the_inside_is_not_routed(stack: Stack, path: str) -> None:
    assert httpx.get(stack.address + path).status_code == 404


@pytest.mark.parametrize("path", ["/airflow/", "/mlflow/", "/prometheus/"])
def test_ops_pages_ask_who_one_is(stack: Stack, platform: Platform, path: str) -> None:
    assert httpx.get(stack.address + path).status_code == 401
    with httpx.Client(base_url=stack.address, follow_redirects=True) as browser:
        signed_in = browser.post("/auth/session", json={"username": "admin", "password": stack.admin_password})
        assert signed_in.status_code == 200, signed_in.text
        page = browser.get(path)
        assert page.status_code == 200, page.text[:500]
        assert "<html" in page.text.lower()


def test_prometheus_reaches_everything_that_it_watches(stack: Stack) -> None:
    with httpx.Client(base_url=stack.address) as browser:
        browser.post("/auth/session", json={"username": "admin", "password": stack.admin_password})

        def all_up() -> bool:
            targets = browser.get("/prometheus/api/v1/targets").json()["data"]["activeTargets"]
            assert targets
            assert {t["labels"]["job"]: t["lastError"] for t in targets if t["health"] != "up"} == {}
            return True

        # What became healthy a moment ago is up at Prometheus' next look.
        wait_for("every target to be up", all_up, seconds=90)


def test_the_platform_trains_its_first_models_by_itself(platform: Platform, trained: None) -> None:
    for use_case in USE_CASES:
        assert champion_of(platform, use_case) == "1"
