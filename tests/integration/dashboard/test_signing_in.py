"""Signing in, reloading and signing out, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from services.core.auth.principal import Role
from tests.gateways import PASSWORD, SERVICE_TOKEN
from tests.integration.dashboard.conftest import SignedIn, session_cookies, settled, visit
from tests.integration.dashboard.local_platform import CHECKOUT, NAMES, Platform
from tests.servers import running

pytestmark = pytest.mark.browser
PAGES = {
    Role.VIEWER: ["Board", "Drift and quality", "Explore", "Portal"],
    Role.DISPATCHER: ["Call", "Board", "Drift and quality", "Explore", "Portal"],
    Role.OPERATOR: ["Call", "Board", "Models", "Data and retraining", "Drift and quality", "Explore", "Portal"],
    Role.ADMIN: [
        "Call", "Board", "Models", "Data and retraining", "Drift and quality", "Explore", "Administration", "Portal",
    ],
}  # fmt: skip


def sign_in(page: Any, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def address(page: Any) -> str:
    """The page's own; which use case is looked at stands behind the question mark, as soon as it is known."""
    return str(page.url).partition("?")[0]


def listed(page: Any) -> list[str]:
    page.get_by_test_id("stSidebarNav").wait_for()
    return [text.strip() for text in page.get_by_test_id("stSidebarNavLink").locator("span[label]").all_inner_texts()]


def test_a_person_signs_in_and_comes_to_the_page_that_was_asked_for(
    open_page: Callable[..., Any], platform: Platform, shot: Callable[..., None], accessible: Callable[[Any], None]
) -> None:
    page = open_page()
    visit(page, f"{platform.dashboard}/board")
    shot(page, "sign-in", whole=False)
    accessible(page)
    sign_in(page, NAMES[Role.DISPATCHER])
    page.get_by_role("heading", name="Board").wait_for()
    assert address(page) == f"{platform.dashboard}/board"
    (cookie,) = [found for found in page.context.cookies() if found["name"] == "vigie_session"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"


def test_a_first_password_is_changed_before_anything_else(open_page: Callable[..., Any], platform: Platform) -> None:
    body = {"name": "first.day", "role": "dispatcher", "centre": "default", "password": PASSWORD}
    made = httpx.post(
        f"{platform.gateway}/admin/users",
        json=body,
        headers={"Authorization": f"Bearer {platform.token()}"},
        timeout=60,
    )
    assert made.status_code == 201, made.text
    page = open_page()
    visit(page, f"{platform.dashboard}/board")
    sign_in(page, "first.day")
    page.get_by_role("heading", name="Change the password").wait_for()
    assert page.get_by_test_id("stSidebarNavLink").count() == 0
    page.get_by_label("Current password").fill(PASSWORD)
    for label in ("New password, at least 12 characters", "New password again"):
        page.get_by_label(label, exact=True).fill(PASSWORD[::-1])
    page.get_by_role("button", name="Change the password").click()
    assert "Board" in listed(page)


def test_a_second_factor_is_enrolled_and_asked_for(
    open_page: Callable[..., Any], platform: Platform, shot: Callable[..., None], accessible: Callable[[Any], None]
) -> None:
    body = {"name": "two.factors", "role": "viewer", "centre": "default", "password": PASSWORD[::-1]}
    by = {"Authorization": f"Bearer {platform.token()}"}
    httpx.post(f"{platform.gateway}/admin/users", json=body, headers=by, timeout=60).raise_for_status()
    form = {"grant_type": "password", "username": "two.factors", "password": PASSWORD[::-1]}
    first = httpx.post(f"{platform.gateway}/auth/token", data=form, timeout=60).json()["access_token"]
    change = {"current": PASSWORD[::-1], "new": PASSWORD}
    httpx.post(
        f"{platform.gateway}/auth/password", json=change, headers={"Authorization": f"Bearer {first}"}, timeout=60
    ).raise_for_status()
    page = open_page()
    visit(page, f"{platform.dashboard}/board")
    sign_in(page, "two.factors")
    page.get_by_role("heading", name="Board").wait_for()
    page.get_by_role("button", name="Second factor").click()
    page.get_by_role("button", name="Add an authenticator app").click()
    secret = page.get_by_role("dialog").locator("code").inner_text().strip()
    shot(page, "second-factor", whole=False)
    code = page.get_by_label("Code of your authenticator app")
    code.fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Confirm the code").click()
    page.get_by_label("User name").wait_for()
    sign_in(page, "two.factors")
    code.wait_for()
    accessible(page)
    code.fill(pyotp.TOTP(secret).at(int(time.time()) + 30))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Board").wait_for()


def test_a_wrong_password_is_said_in_plain_words(open_page: Callable[..., Any], platform: Platform) -> None:
    page = open_page()
    visit(page, platform.dashboard)
    sign_in(page, NAMES[Role.VIEWER], "not the password")
    page.get_by_text("The user name or the password is not right.").wait_for()


def test_a_reload_keeps_the_sign_in_the_page_and_the_language(signed_in: SignedIn, platform: Platform) -> None:
    page = signed_in(Role.VIEWER, "en", "/portal")
    page.get_by_text("Français", exact=True).click()
    page.get_by_role("heading", name="Portail").wait_for()
    settled(page)
    page.wait_for_function("() => document.cookie.includes('vigie_language=fr')")
    page.reload()
    page.get_by_role("heading", name="Portail").wait_for()
    assert address(page) == f"{platform.dashboard}/portal"
    page.wait_for_function("() => document.documentElement.lang === 'fr'")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_sees_its_own_pages_alone(signed_in: SignedIn, role: Role) -> None:
    assert listed(signed_in(role)) == PAGES[role]


def test_a_page_goes_on_working_when_its_token_has_run_out(signed_in: SignedIn, platform: Platform) -> None:
    """The cookie's token is taken back to its last second by time itself in a shift; here the cookie holds one that the
    gateway made for the sign-in long ago."""
    page = signed_in(Role.VIEWER)
    cookies = {found["name"]: found["value"] for found in page.context.cookies()}
    fresh = httpx.post(
        f"{platform.gateway}/internal/session-tokens",
        json={"token": cookies["vigie_session"]},
        headers={"Authorization": f"Bearer {SERVICE_TOKEN}"},
    )
    assert fresh.status_code == 200
    page.reload()
    page.get_by_role("heading", name="Board").wait_for()


def test_signing_out_ends_the_sign_in_everywhere(
    signed_in: SignedIn, platform: Platform, shot: Callable[..., None]
) -> None:
    page = signed_in(Role.VIEWER)
    cookies = [found for found in page.context.cookies() if found["name"] == "vigie_session"]
    other = page.context.new_page()
    visit(other, f"{platform.dashboard}/board")
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    told = httpx.post(
        f"{platform.gateway}/internal/session-tokens", json={"token": cookies[0]["value"]}, headers=headers
    )
    bearer = {"Authorization": f"Bearer {told.json()['access_token']}"}
    calls = f"{platform.prediction}/v1/fire_response/predictions?limit=1"
    assert httpx.get(calls, headers=bearer).status_code == 200
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("User name").wait_for()
    begun = time.monotonic()
    assert httpx.get(f"{platform.gateway}/auth/me", headers=bearer).status_code == 401, "at once"
    while httpx.get(calls, headers=bearer).status_code != 401:
        assert time.monotonic() - begun < 12, "docs/access.md promises twelve seconds"
        time.sleep(0.2)
    other.get_by_text("Your session has expired").wait_for(timeout=30_000)  # the board asks every eight seconds
    shot(other, "signed-out-elsewhere", whole=False)
    assert [found["name"] for found in page.context.cookies() if found["name"] == "vigie_session"] == []
    page.context.add_cookies([{**cookies[0]}])
    page.reload()
    page.get_by_text("Your session has expired").wait_for()


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/board?use_case=x", "/board?use_case=x"),
        ("/.//evil.example", "//evil.example"),
        ("/a/..//evil.example/b", "//evil.example/b"),
        ("//evil.example", ""),
        ("https://evil.example/", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_the_plain_sign_in_page_leads_to_no_other_site(
    open_page: Callable[..., Any], wanted: str, reached: str
) -> None:
    """``open_page`` fails where the browser asks anything of another machine."""
    site = FastAPI(openapi_url=None)
    site.post("/auth/session")(lambda: {"name": "vera", "role": "viewer"})
    site.mount("/", StaticFiles(directory=CHECKOUT / "deploy" / "edge" / "site", html=True))
    with running(site) as address:
        page = open_page()
        page.goto(f"{address}/?{urlencode({'next': wanted})}")
        page.locator("[name=username]").fill("vera")
        page.locator("[name=password]").fill("a password")
        page.locator("[name=password]").press("Enter")
        if reached:
            page.wait_for_url(address + reached)
        else:
            page.get_by_text("vera (viewer)").wait_for()
            assert page.url.startswith(f"{address}/?next=")
        page.close()


def test_nobody_uploads_without_a_sign_in_and_nobody_more_than_a_session_may(
    open_page: Callable[..., Any], platform: Platform
) -> None:
    """What a visitor does who takes the session's id from the web socket."""
    page, sessions = open_page(), []

    def listen(socket: Any) -> None:
        def received(frame: Any) -> None:
            message = ForwardMsg()
            if isinstance(frame, bytes) and message.ParseFromString(frame) and message.HasField("new_session"):
                sessions.append(message.new_session.initialize.session_id)

        socket.on("framereceived", received)

    page.on("websocket", listen)
    visit(page, platform.dashboard)

    def upload(name: str, megabytes: int) -> int:
        cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
        assert "_streamlit_xsrf" in cookies
        return httpx.put(
            f"{platform.dashboard}/_stcore/upload_file/{sessions[-1]}/{name}",
            files={"file": (name, b"x" * (megabytes << 20))},
            headers={"X-Xsrftoken": cookies["_streamlit_xsrf"]},
            cookies={"_streamlit_xsrf": cookies["_streamlit_xsrf"]},
            timeout=60,
        ).status_code

    assert upload("a", 1) == 401
    page.context.add_cookies(session_cookies(platform, Role.DISPATCHER))
    visit(page, f"{platform.dashboard}/call")
    assert [upload(name, 12) for name in "abc"] == [204, 204, 413]
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("User name").wait_for()
    assert upload("d", 1) == 401


def test_a_sign_in_that_was_ended_elsewhere_is_said_and_can_be_begun_again(
    signed_in: SignedIn, platform: Platform, shot: Callable[..., None]
) -> None:
    page = signed_in(Role.VIEWER, path="/portal")
    cookies = {found["name"]: found["value"] for found in page.context.cookies()}
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    httpx.post(
        f"{platform.gateway}/internal/session-ends", json={"token": cookies["vigie_session"]}, headers=headers
    ).raise_for_status()
    time.sleep(0.1)
    page.reload()
    page.get_by_text("Your session has expired").wait_for()
    shot(page, "session-expired", whole=False)
    sign_in(page, NAMES[Role.VIEWER])
    page.get_by_role("heading", name="Portal").wait_for()
    assert address(page) == f"{platform.dashboard}/portal"
