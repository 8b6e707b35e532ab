"""The dashboard's way of signing in: a code for the browser, and tokens for as long as the sign-in lasts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.auth import credentials
from services.core.auth.principal import AuthError
from services.core.auth.snapshot import AuthSnapshot, AuthSnapshotDocument
from services.core.auth.tables import RefreshTokenRow, UserRow
from services.gateway.container import GatewayContainer
from services.gateway.users import service as users_service
from tests.gateways import PASSWORD, SERVICE_TOKEN

SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
USER = {"username": "admin", "password": PASSWORD}


def _code(client: TestClient) -> str:
    answer = client.post("/internal/entries", json=USER, headers=SERVICE)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["code"])


def _enter(client: TestClient, code: str, next: str = "/board", **headers: str) -> Any:
    return client.get("/auth/enter", params={"code": code, "next": next}, headers=headers, follow_redirects=False)


def _fresh(client: TestClient, token: str) -> Any:
    return client.post("/internal/session-tokens", json={"token": token}, headers=SERVICE)


@pytest.fixture
def session(client: TestClient) -> str:
    """The token in the cookie of a browser that has entered."""
    assert _enter(client, _code(client)).status_code == 303
    return str(client.cookies["vigie_session"])


def _expired(gateway: GatewayContainer, session: str, *, seconds: float) -> str:
    """The same token as it would be had it been issued long ago."""
    claims = jwt.decode(session, options={"verify_signature": False})
    with Session(gateway.engine) as database:
        caller = users_service.user_principal(database, database.get_one(UserRow, claims["sub"]))
    key = gateway.signing.current().signer(time.time())
    token, _ = credentials.issue_token(
        caller, key, jti=claims["jti"], now=time.time() - 600 - seconds, sid=claims["sid"]
    )
    return token


def test_a_code_brings_the_cookies_and_the_page(client: TestClient) -> None:
    answer = _enter(client, _code(client))
    assert (answer.status_code, answer.headers["location"]) == (303, "/board")
    assert {"vigie_session", "vigie_refresh", "vigie_csrf"} <= {cookie.name for cookie in client.cookies.jar}
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert client.get("/auth/me").json()["name"] == "admin"


def test_a_code_is_only_given_to_the_platforms_own_services(client: TestClient) -> None:
    assert client.post("/internal/entries", json=USER).status_code == 401


def test_a_wrong_password_brings_no_code_and_counts_as_a_failure(client: TestClient) -> None:
    for _ in range(5):
        wrong = client.post("/internal/entries", json=USER | {"password": "no"}, headers=SERVICE)
        assert wrong.status_code == 401
    limited = client.post("/internal/entries", json=USER, headers=SERVICE)
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) > 0


def test_a_code_works_once(client: TestClient) -> None:
    code = _code(client)
    _enter(client, code)
    client.cookies.clear()
    again = _enter(client, code)
    assert again.status_code == 303
    assert "vigie_session" not in client.cookies


def test_a_code_that_is_shown_again_later_ends_the_sign_in(client: TestClient, gateway: GatewayContainer) -> None:
    code = _code(client)
    _enter(client, code)
    session = client.cookies["vigie_session"]
    with Session(gateway.engine) as database, database.begin():
        for row in database.scalars(select(RefreshTokenRow).where(RefreshTokenRow.used_at.is_not(None))):
            row.used_at = datetime.now(UTC) - timedelta(seconds=11)
    assert _enter(client, code).headers["location"] == "/?next=/board"
    assert _fresh(client, session).status_code == 401


def test_a_code_lives_thirty_seconds(client: TestClient, gateway: GatewayContainer) -> None:
    code = _code(client)
    with Session(gateway.engine) as database:
        (row,) = database.scalars(select(RefreshTokenRow))
        assert row.expires_at - row.created <= timedelta(seconds=30)
        row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        database.commit()
    assert _enter(client, code).headers["location"] == "/?next=/board"
    assert "vigie_session" not in client.cookies


def test_a_code_is_no_refresh_token_and_a_refresh_token_no_code(client: TestClient) -> None:
    as_token = client.post("/auth/token", data={"grant_type": "refresh_token", "refresh_token": _code(client)})
    assert as_token.json()["error"] == "invalid_grant"
    tokens_of = client.post("/auth/token", data={"grant_type": "password"} | USER).json()
    _enter(client, tokens_of["refresh_token"])
    assert "vigie_session" not in client.cookies


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_link_from_elsewhere_signs_nobody_in(client: TestClient, site: str) -> None:
    answer = _enter(client, _code(client), **{"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    assert "vigie_session" not in client.cookies


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
def test_nobody_is_sent_elsewhere(client: TestClient, elsewhere: str) -> None:
    assert _enter(client, _code(client), elsewhere).headers["location"] == "/"


def test_with_local_processes_the_browser_goes_to_the_dashboards_port(start: Callable[..., TestClient]) -> None:
    client = start(dashboard_url="http://127.0.0.1:8501")
    here = {"Host": "localhost:8600", "Sec-Fetch-Site": "same-site"}
    assert _enter(client, _code(client), **here).headers["location"] == "http://localhost:8501/board"
    there = {"Host": "evil.test:8600", "Sec-Fetch-Site": "same-origin"}
    assert _enter(client, _code(client), "//evil.test", **there).headers["location"] == "http://127.0.0.1:8501/"


def test_a_page_gets_fresh_tokens_for_as_long_as_its_sign_in_lasts(
    client: TestClient, gateway: GatewayContainer, session: str
) -> None:
    old = _expired(gateway, session, seconds=3_600)
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {old}"}).status_code == 401, "it opens nothing"
    answer = _fresh(client, old)
    assert answer.status_code == 200
    assert answer.json()["user"]["role"] == "admin"
    token = answer.json()["access_token"]
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_fresh_token_counts_as_use_of_the_sign_in(
    client: TestClient, gateway: GatewayContainer, session: str
) -> None:
    def end() -> datetime:
        with Session(gateway.engine) as database:
            return max(row.expires_at for row in database.scalars(select(RefreshTokenRow)))

    with Session(gateway.engine) as database, database.begin():
        for row in database.scalars(select(RefreshTokenRow).where(RefreshTokenRow.used_at.is_(None))):
            row.expires_at = datetime.now(UTC) + timedelta(minutes=5)
    before = end()
    assert _fresh(client, session).status_code == 200
    assert end() - before > timedelta(hours=11)


def test_a_sign_in_that_was_not_used_for_too_long_brings_no_token(
    client: TestClient, gateway: GatewayContainer, session: str
) -> None:
    with Session(gateway.engine) as database, database.begin():
        for row in database.scalars(select(RefreshTokenRow)):
            row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    assert _fresh(client, session).status_code == 401


def test_tokens_that_are_forged_or_older_than_a_day_bring_no_token(
    client: TestClient, gateway: GatewayContainer, session: str
) -> None:
    head, body, signature = session.split(".")
    assert _fresh(client, f"{head}.{body}.{signature[::-1]}").status_code == 401
    assert _fresh(client, _expired(gateway, session, seconds=90_000)).status_code == 401
    assert _fresh(client, "vig_notatoken").status_code == 401


def test_fresh_tokens_are_only_given_to_the_platforms_own_services(client: TestClient, session: str) -> None:
    assert client.post("/internal/session-tokens", json={"token": session}).status_code == 401


def test_signing_out_ends_the_sign_in_its_tokens_and_the_cookies(client: TestClient, session: str) -> None:
    other = _fresh(client, session).json()["access_token"]
    assert client.post("/internal/session-ends", json={"token": session}, headers=SERVICE).status_code == 204
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {session}"}).status_code == 401
    assert _fresh(client, other).status_code == 401
    gone = client.get("/auth/session/continue", params={"next": "/board"}, follow_redirects=False)
    assert gone.headers["location"] == "/?next=/board"
    assert "vigie_session" not in client.cookies


@pytest.mark.parametrize("way", ["dashboard", "browser", "refresh token"])
def test_signing_out_in_one_tab_ends_the_tokens_of_all(
    client: TestClient, gateway: GatewayContainer, session: str, way: str
) -> None:
    tabs = [_fresh(client, session).json()["access_token"] for _ in range(2)]
    elsewhere = client.post("/auth/token", data={"grant_type": "password", **USER}).json()["access_token"]
    if way == "dashboard":
        client.post("/internal/session-ends", json={"token": tabs[0]}, headers=SERVICE).raise_for_status()
    elif way == "browser":
        csrf = {"X-Vigie-CSRF": client.cookies["vigie_csrf"]}
        client.post("/auth/logout", headers=csrf).raise_for_status()
    else:
        client.post("/auth/revoke", data={"token": client.cookies["vigie_refresh"]}).raise_for_status()
    client.cookies.clear()
    given = AuthSnapshotDocument.model_validate(client.get("/internal/access-list", headers=SERVICE).json())
    for token, status in ((tabs[0], 401), (tabs[1], 401), (elsewhere, 200)):
        assert client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == status
        assert isinstance(AuthSnapshot(given).verify(token, time.time()), AuthError) == (status == 401)
    assert all(entry.jti or entry.sub for entry in given.revoked), "what services of 0.1.0 ask of every entry"


def test_a_token_that_was_revoked_brings_no_other(client: TestClient, session: str) -> None:
    client.post("/auth/revoke", data={"token": session})
    assert _fresh(client, session).status_code == 401


def test_a_new_role_is_in_the_next_token(client: TestClient, gateway: GatewayContainer, session: str) -> None:
    with Session(gateway.engine) as database, database.begin():
        database.scalars(select(UserRow)).one().role = "viewer"
    assert _fresh(client, session).json()["user"]["role"] == "viewer"
