"""The dashboard behind the edge, in a real browser: one address for pages, sign-in and calls; and what the edge shows
when it is down."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.platform_client import Platform, wait_for
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.docker, pytest.mark.browser]

CHROMIUM = os.environ.get("VIGIE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
PATIENCE = 60_000
"""Milliseconds: the machine runs the whole platform besides."""


@pytest.fixture
def page(stack: Stack) -> Iterator[Any]:
    """A page of a browser that reaches the edge and nothing else."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM:
        pytest.fail("There is no Chromium: apt-get install chromium, or name one in VIGIE_CHROMIUM.")
    asked: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        opened = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB").new_page()
        opened.set_default_timeout(PATIENCE)
        opened.on("request", lambda request: asked.append(request.url))
        yield opened
        browser.close()
    ours = re.compile(rf"^(https?|wss?)://127\.0\.0\.1:{stack.port}/|^(data|blob|about):")
    assert [url for url in asked if not ours.match(url)] == [], "pages need nothing from other machines"


@pytest.fixture
def signed_in(stack: Stack, platform: Platform, trained: None, page: Any) -> Any:
    _open(page, stack.address)
    page.get_by_label("User", exact=False).first.fill("admin")
    page.locator("input[type=password]").fill(stack.admin_password)
    page.locator("input[type=password]").press("Enter")
    page.locator("[data-testid=stSidebarNav] a").first.wait_for()
    return page


def _open(page: Any, address: str) -> None:
    page.goto(address)
    page.locator("h1").first.wait_for()


def test_who_signs_in_stays_signed_in_over_a_reload_and_out_of_scripts_reach(signed_in: Any, stack: Stack) -> None:
    signed_in.reload()
    signed_in.locator("[data-testid=stSidebarNav] a").first.wait_for()
    cookie = next(cookie for cookie in signed_in.context.cookies() if cookie["name"] == "vigie_session")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert "vigie_session" not in signed_in.evaluate("document.cookie")


def test_every_page_of_an_administrator_is_drawn_without_an_error(signed_in: Any) -> None:
    links = signed_in.locator("[data-testid=stSidebarNav] a")
    addresses = [links.nth(index).get_attribute("href") for index in range(links.count())]
    assert len(addresses) >= 8
    for address in addresses:
        _open(signed_in, str(address))
        signed_in.wait_for_function(
            "() => document.querySelector('[data-testid=\"stApp\"]')"
            "?.getAttribute('data-test-script-state') === 'notRunning'"
        )
        assert signed_in.locator("[data-testid=stException]").count() == 0, address
        assert signed_in.get_by_text("Something went wrong").count() == 0, address


def test_api_pages_and_sign_in_keep_their_addresses_beside_the_dashboard(stack: Stack) -> None:
    for path, title in (("/v1/docs", "Vigie: predictions"), ("/auth/docs", "Vigie: access and administration")):
        assert f"<title>{title}</title>" in httpx.get(stack.address + path, timeout=20).text
    assert httpx.get(stack.address + "/admin/users", timeout=20).status_code == 401


def test_the_edge_says_what_there_is_while_the_dashboard_is_away(stack: Stack, platform: Platform) -> None:
    stack.compose("stop", "dashboard")
    try:
        answer = httpx.get(stack.address + "/", headers={"Accept": "text/html"}, timeout=30)
        assert "/v1/docs" in answer.text
        assert "text/html" in answer.headers["Content-Type"]
    finally:
        stack.compose("start", "dashboard")
    wait_for("the dashboard", lambda: "stApp" in _text(stack) or "streamlit" in _text(stack).lower(), seconds=120)


def _text(stack: Stack) -> str:
    return httpx.get(stack.address + "/", headers={"Accept": "text/html"}, timeout=30).text
