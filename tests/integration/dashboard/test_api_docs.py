"""Swagger UI in a browser: a call from there is answered, as an exercise unless the caller chooses otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.core.auth.principal import Role
from tests.integration.dashboard.conftest import session_cookies
from tests.integration.dashboard.local_platform import Platform

pytestmark = pytest.mark.browser
PATH = "/v1/fire_response/predict"


def tried(page: Any, platform: Platform, *, kind: str | None = None) -> Any:
    """The service's response to the example that the page offers."""
    page.goto(f"{platform.prediction}/v1/docs")
    page.locator(f'.opblock-summary-path[data-path="{PATH}"]').click()
    block = page.locator(".opblock.is-open")
    block.get_by_role("button", name="Try it out").click()
    if kind is not None:
        block.locator('tr[data-param-name="X-Vigie-Call-Kind"] select').select_option(kind)
    with page.expect_response(lambda response: response.url.endswith(PATH)) as answered:
        block.get_by_role("button", name="Execute").click()
    return answered.value


@pytest.mark.parametrize(("chosen", "recorded"), [(None, "exercise"), ("live", "live")])
def test_a_call_from_the_page_is_an_exercise_unless_one_says_otherwise(
    open_page: Callable[..., Any], platform: Platform, chosen: str | None, recorded: str
) -> None:
    page = open_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.context.add_cookies(session_cookies(platform, Role.DISPATCHER))
    response = tried(page, platform, kind=chosen)
    assert response.status == 200, response.text()
    assert response.json()["kind"] == recorded
    page.locator(".opblock.is-open .live-responses-table").get_by_text("model_version").first.wait_for()
    assert [fault for fault in faults if "Content Security Policy" in fault] == []


def test_without_a_session_the_page_shows_the_refusal(open_page: Callable[..., Any], platform: Platform) -> None:
    assert tried(open_page(), platform).status == 401
