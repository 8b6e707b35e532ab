"""Refresh tokens, cookies, signing out and the edge's question."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from services.core.auth.tables import RefreshTokenRow
from services.gateway.container import GatewayContainer
from services.gateway.deps import safe_redirect_path
from tests.gateways import PASSWORD

USER = {"username": "admin", "password": PASSWORD}
NEW = "another long password"


def _tokens(client: TestClient) -> dict[str, str]:
    found: dict[str, str] = client.post("/auth/token", data={"grant_type": "password"} | USER).json()
    return found


def _refresh(client: TestClient, token: str) -> Any:
    return client.post("/auth/token", data={"grant_type": "refresh_token", "refresh_token": token})


def _me(client: TestClient, token: str) -> int:
    return client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.fixture
def browser(client: TestClient) -> TestClient:
    """Signed in with cookies; ``client.cookies`` keeps them as a browser does."""
    answer = client.post("/auth/session", json=USER)
    assert answer.status_code == 200, answer.text
    return client


def _csrf(browser: TestClient) -> dict[str, str]:
    return {"X-Vigie-CSRF": browser.cookies["vigie_csrf"]}


def test_a_refresh_token_brings_the_next_pair(client: TestClient) -> None:
    first = _tokens(client)
    second = _refresh(client, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert _me(client, second["access_token"]) == 200
    assert _refresh(client, second["refresh_token"]).status_code == 200


def test_a_refresh_token_that_is_shown_twice_ends_the_sign_in_and_its_tokens(client: TestClient) -> None:
    first = _tokens(client)
    second = _refresh(client, first["refresh_token"]).json()
    assert _refresh(client, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert _refresh(client, second["refresh_token"]).status_code == 400
    assert _me(client, second["access_token"]) == 401
    assert _me(client, _tokens(client)["access_token"]) == 200, "a new sign-in works at once"


def test_only_hashes_of_refresh_tokens_are_stored(client: TestClient, gateway: GatewayContainer) -> None:
    token = _tokens(client)["refresh_token"]
    with Session(gateway.engine) as session:
        rows = session.query(RefreshTokenRow).all()
    assert all(token not in str(vars(row)) for row in rows)


def test_a_sign_in_ends_when_it_was_not_used(client: TestClient, gateway: GatewayContainer) -> None:
    token = _tokens(client)["refresh_token"]
    with gateway.transaction() as session:
        row = session.query(RefreshTokenRow).one()
        row.expires_at -= timedelta(hours=12, seconds=1)
    assert _refresh(client, token).status_code == 400


def test_a_sign_in_ends_after_a_week_however_often_it_was_used(client: TestClient, gateway: GatewayContainer) -> None:
    token = _tokens(client)["refresh_token"]
    with gateway.transaction() as session:
        row = session.query(RefreshTokenRow).one()
        row.signed_in -= timedelta(days=6, hours=23)
    renewed = _refresh(client, token).json()
    with Session(gateway.engine) as session:
        last = session.query(RefreshTokenRow).order_by(RefreshTokenRow.created.desc()).first()
        assert last is not None
        assert last.expires_at - last.created < timedelta(hours=1, seconds=5)
    assert renewed["refresh_token"]


def test_a_revoked_access_token_stops_counting_at_once(client: TestClient) -> None:
    token = _tokens(client)["access_token"]
    assert client.post("/auth/revoke", data={"token": token}).status_code == 200
    assert _me(client, token) == 401


def test_a_revoked_refresh_token_ends_the_sign_in(client: TestClient) -> None:
    token = _tokens(client)["refresh_token"]
    client.post("/auth/revoke", data={"token": token})
    assert _refresh(client, token).status_code == 400


@pytest.mark.parametrize("token", ["x", "vgr_" + "a" * 43, "a.b.c"])
def test_revoking_what_is_no_token_says_nothing(client: TestClient, token: str) -> None:
    assert client.post("/auth/revoke", data={"token": token}).status_code == 200


def test_signing_out_takes_the_token_back(client: TestClient) -> None:
    token = _tokens(client)["access_token"]
    assert client.post("/auth/logout", headers={"Authorization": f"Bearer {token}"}).status_code == 204
    assert _me(client, token) == 401


def test_a_new_password_ends_other_sign_ins_and_works(client: TestClient) -> None:
    other, own = _tokens(client), _tokens(client)
    headers = {"Authorization": f"Bearer {own['access_token']}"}
    answer = client.post("/auth/password", json={"current": PASSWORD, "new": NEW}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert _me(client, other["access_token"]) == 401
    assert _refresh(client, other["refresh_token"]).status_code == 400
    assert _me(client, answer.json()["access_token"]) == 200
    me = client.get("/auth/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}).json()
    assert me["must_change_password"] is False
    assert client.post("/auth/token", data={"grant_type": "password"} | USER).status_code == 400
    changed = {"grant_type": "password", "username": "admin", "password": NEW}
    assert client.post("/auth/token", data=changed).status_code == 200


@pytest.mark.parametrize("new", ["tiny pw", "x" * 129, "aaaaaaaaaaaaaaaa", "admin-admin-admin"])
def test_a_weak_password_is_refused(client: TestClient, admin: dict[str, str], new: str) -> None:
    answer = client.post("/auth/password", json={"current": PASSWORD, "new": new}, headers=admin)
    assert answer.status_code == 400
    assert new not in answer.text


def test_the_current_password_is_asked_for(client: TestClient, admin: dict[str, str]) -> None:
    answer = client.post("/auth/password", json={"current": "wrong", "new": NEW}, headers=admin)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, "current")


def test_the_cookies_are_out_of_reach_of_scripts_and_other_sites(client: TestClient) -> None:
    answer = client.post("/auth/session", json=USER)
    cookies = {line.split("=")[0]: line for line in answer.headers.get_list("set-cookie")}
    for name in ("vigie_session", "vigie_refresh"):
        assert {"HttpOnly", "SameSite=strict", "Secure"} <= set(cookies[name].split("; "))
    assert "Path=/auth" in cookies["vigie_refresh"]
    assert "HttpOnly" not in cookies["vigie_csrf"]
    assert "access_token" not in answer.text


def test_without_https_cookies_are_not_marked_secure(client: TestClient) -> None:
    plain = TestClient(client.app, base_url="http://vigie.test")
    assert "Secure" not in plain.post("/auth/session", json=USER).headers["set-cookie"]


def test_a_reload_keeps_the_sign_in(browser: TestClient) -> None:
    assert browser.get("/auth/me").json()["name"] == "admin"


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Vigie-CSRF": "guessed"}],
    ids=["no csrf word", "another csrf word"],
)
def test_another_site_changes_nothing_with_the_cookies(browser: TestClient, headers: dict[str, str]) -> None:
    for path in ("/admin/freeze", "/auth/session/refresh", "/auth/logout"):
        assert browser.post(path, json={"reason": "evil"}, headers=headers).status_code == 403
    assert browser.get("/admin/freeze").json()["frozen"] is False


def test_a_word_that_somebody_planted_in_the_browser_is_worth_nothing(browser: TestClient, client: TestClient) -> None:
    victim = TestClient(client.app, base_url="https://vigie.test")
    victim.cookies.set("vigie_csrf", "planted")
    assert victim.post("/auth/session", json=USER).status_code == 200
    own = [cookie.value for cookie in victim.cookies.jar if cookie.name == "vigie_csrf" and cookie.value != "planted"]
    assert len(own) == 1
    assert own[0] != browser.cookies["vigie_csrf"], "each sign-in has a word of its own"
    session = victim.cookies["vigie_session"]
    for word, status in (("planted", 403), (browser.cookies["vigie_csrf"], 403), (own[0], 204)):
        headers = {"Cookie": f"vigie_session={session}; vigie_csrf={word}", "X-Vigie-CSRF": word}
        assert (
            TestClient(client.app, base_url="https://vigie.test").post("/auth/logout", headers=headers).status_code
            == status
        )


def test_a_browser_that_says_cross_site_is_refused_with_the_right_word_too(browser: TestClient) -> None:
    headers = _csrf(browser) | {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/auth/session/refresh", headers=headers).status_code == 403


def test_another_site_cannot_sign_a_browser_in(client: TestClient) -> None:
    assert client.post("/auth/session", json=USER, headers={"Origin": "https://evil.test"}).status_code == 403
    assert client.post("/auth/session", json=USER, headers={"Origin": "https://vigie.test"}).status_code == 200


def test_a_browser_renews_its_session(browser: TestClient) -> None:
    before = browser.cookies["vigie_refresh"]
    assert browser.post("/auth/session/refresh", headers=_csrf(browser)).status_code == 200
    assert browser.cookies["vigie_refresh"] != before
    assert browser.get("/auth/me").status_code == 200


def test_two_pages_that_renew_at_once_do_not_end_the_sign_in(browser: TestClient) -> None:
    old = browser.cookies["vigie_refresh"]
    csrf = _csrf(browser)
    assert browser.post("/auth/session/refresh", headers=csrf).status_code == 200
    other = TestClient(browser.app, base_url="https://vigie.test")
    other.cookies.update({"vigie_refresh": old, "vigie_csrf": csrf["X-Vigie-CSRF"]})
    assert other.post("/auth/session/refresh", headers=csrf).status_code == 409
    assert browser.post("/auth/session/refresh", headers=_csrf(browser)).status_code == 200


def test_a_stolen_cookie_that_is_used_later_ends_the_sign_in(browser: TestClient, gateway: GatewayContainer) -> None:
    old, csrf = browser.cookies["vigie_refresh"], _csrf(browser)
    assert browser.post("/auth/session/refresh", headers=csrf).status_code == 200
    with gateway.transaction() as session:
        for row in session.query(RefreshTokenRow).filter(RefreshTokenRow.used_at.is_not(None)):
            assert row.used_at is not None
            row.used_at -= timedelta(seconds=11)
    thief = TestClient(browser.app, base_url="https://vigie.test")
    thief.cookies.update({"vigie_refresh": old, "vigie_csrf": csrf["X-Vigie-CSRF"]})
    assert thief.post("/auth/session/refresh", headers=csrf).status_code == 401
    assert browser.post("/auth/session/refresh", headers=_csrf(browser)).status_code == 401


def test_signing_out_clears_the_cookies_and_ends_the_sign_in(browser: TestClient) -> None:
    refresh, csrf = browser.cookies["vigie_refresh"], _csrf(browser)
    assert browser.post("/auth/logout", headers=csrf).status_code == 204
    assert "vigie_session" not in browser.cookies
    assert browser.get("/auth/me").status_code == 401
    assert _refresh(browser, refresh).status_code == 400


def test_the_edge_hears_who_it_is(browser: TestClient) -> None:
    answer = browser.get("/auth/check", params={"role": "operator"})
    assert (answer.status_code, answer.headers["x-vigie-user"], answer.headers["x-vigie-role"]) == (
        204,
        "admin",
        "admin",
    )


def test_the_edge_sends_a_browser_to_sign_in_and_back(client: TestClient) -> None:
    headers = {"Accept": "text/html", "X-Forwarded-Uri": "/airflow/dags?x=1"}
    answer = client.get("/auth/check", headers=headers, follow_redirects=False)
    assert answer.status_code == 303
    there = client.get(answer.headers["location"], follow_redirects=False)
    assert there.headers["location"] == "/?next=/airflow/dags%3Fx%3D1"


def test_a_session_that_has_run_out_goes_on_without_a_new_sign_in(browser: TestClient) -> None:
    del browser.cookies["vigie_session"]
    headers = {"Accept": "text/html", "X-Forwarded-Uri": "/airflow/"}
    answer = browser.get("/auth/check", headers=headers, follow_redirects=False)
    there = browser.get(answer.headers["location"], follow_redirects=False)
    assert there.headers["location"] == "/airflow/"
    assert browser.get("/auth/check").status_code == 204


def test_the_edge_refuses_programs_without_a_redirect(client: TestClient) -> None:
    assert client.get("/auth/check", headers={"Accept": "*/*"}).status_code == 401


def test_another_site_does_not_post_through_the_edge(browser: TestClient) -> None:
    evil = {"X-Forwarded-Method": "POST", "Origin": "https://evil.test"}
    assert browser.get("/auth/check", headers=evil).status_code == 403
    own = {"X-Forwarded-Method": "POST", "Origin": "https://vigie.test"}
    assert browser.get("/auth/check", headers=own).status_code == 204


@pytest.mark.parametrize("text", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:x", "", "/a\nb"])
def test_nobody_is_sent_to_another_site(text: str) -> None:
    assert safe_redirect_path(text) == "/"
