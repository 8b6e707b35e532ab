"""Names and passwords become tokens, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from services.core.audit.log import AuditFilter, query_entries
from services.core.auth.tables import LoginAttemptRow, SigningKeyRow, UserRow
from services.gateway.auth import login_throttle
from services.gateway.container import GatewayContainer
from tests.gateways import PASSWORD

Start = Callable[..., TestClient]


def _try(client: TestClient, name: str, password: str = PASSWORD) -> Any:
    return client.post("/auth/token", data={"grant_type": "password", "username": name, "password": password})


def _audit(gateway: GatewayContainer, action: str) -> list[str]:
    with gateway.engine.connect() as connection:
        return [
            entry["target"] or entry["actor_name"]
            for entry in query_entries(connection, AuditFilter(action=action), 100)
        ]


def test_the_first_start_makes_one_administrator_of_all_centres(client: TestClient) -> None:
    token = _try(client, "admin").json()["access_token"]
    me = client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert (me["name"], me["role"], me["centre"], me["centres"]) == ("admin", "admin", "default", "*")
    assert me["must_change_password"] is False, "its password is a secret of the installation"


def test_without_a_password_in_the_environment_nobody_is_made(start: Start) -> None:
    client = start(gateway_admin_password=None)
    assert _try(client, "admin", "").status_code == 400
    assert _try(client, "admin", "admin").status_code == 400


def test_a_second_start_leaves_the_administrator_alone(start: Start) -> None:
    start()
    again = start(gateway_admin_password="another password 12")
    assert _try(again, "admin", "another password 12").status_code == 400
    assert _try(again, "admin").status_code == 200


@pytest.mark.parametrize(("password", "excused"), [(PASSWORD, True), ("another password 12", False)])
def test_an_administrator_of_0_1_0_goes_on_with_the_environments_password_alone(
    start: Start, password: str, excused: bool
) -> None:
    gateway = start().app.state.gateway  # type: ignore[attr-defined]
    with gateway.transaction() as session:
        session.query(UserRow).update({"must_change_password": True})
    again = start(gateway_admin_password=password)
    token = _try(again, "admin").json()["access_token"]
    answer = again.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["must_change_password"] is not excused


def test_a_token_is_short_lived_and_says_who_its_owner_is(client: TestClient) -> None:
    answer = _try(client, "ADMIN ").json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert jwt.get_unverified_header(answer["access_token"])["alg"] == "ES256"
    assert claims["exp"] - claims["iat"] <= 601
    assert answer["expires_in"] <= 600
    assert {"iss", "aud", "sub", "jti", "iat", "exp", "name", "role", "centre", "centres", "kind"} <= set(claims)


def test_the_published_key_verifies_a_token(client: TestClient) -> None:
    token = _try(client, "admin").json()["access_token"]
    keys = client.get("/.well-known/jwks.json").json()
    assert all("d" not in key for key in keys["keys"])
    found = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, found.key, algorithms=["ES256"], audience="vigie", issuer="vigie")["name"] == "admin"


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(client: TestClient) -> None:
    wrong, unknown = _try(client, "admin", "wrong"), _try(client, "nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 400
    for answer in (wrong, unknown):
        answer.json().pop("request_id")
    assert {**wrong.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert wrong.json()["error"] == "invalid_grant"


def test_an_unknown_user_costs_as_much_as_a_wrong_password(
    client: TestClient, gateway: GatewayContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    original = type(gateway.passwords)._matches

    def matches(self: object, stored: str, password: str) -> bool:
        checked.append(stored.rpartition("$")[0].rpartition("$")[0])
        return original(self, stored, password)  # type: ignore[arg-type]

    monkeypatch.setattr(type(gateway.passwords), "_matches", matches)
    _try(client, "admin", "wrong")
    _try(client, "nobody", "wrong")
    assert len(checked) == 2
    assert checked[0] == checked[1], "the same parameters, so the same work"


def test_an_inactive_user_gets_the_same_answer_too(client: TestClient, gateway: GatewayContainer) -> None:
    with gateway.transaction() as session:
        session.query(UserRow).update({"active": False})
    assert _try(client, "admin").json()["error"] == "invalid_grant"


def test_after_five_failures_the_right_password_has_to_wait(client: TestClient) -> None:
    for _ in range(5):
        assert _try(client, "admin", "wrong").status_code == 400
    answer = _try(client, "admin")
    assert answer.status_code == 429
    assert 25 <= int(answer.headers["retry-after"]) <= 30


def test_an_unknown_user_is_locked_out_alike(client: TestClient) -> None:
    for _ in range(5):
        _try(client, "nobody", "wrong")
    assert _try(client, "nobody", "wrong").status_code == 429


def _let_time_pass(gateway: GatewayContainer, by: timedelta) -> None:
    with gateway.transaction() as session:
        for row in session.query(LoginAttemptRow):
            row.since -= by
            row.last -= by
            row.locked_until = row.locked_until - by if row.locked_until else None


def test_the_pause_doubles_with_each_further_failure_and_ends_with_a_success(
    client: TestClient, gateway: GatewayContainer
) -> None:
    for _ in range(5):
        _try(client, "admin", "wrong")
    _let_time_pass(gateway, timedelta(seconds=31))
    assert _try(client, "admin", "wrong").status_code == 400
    assert 55 <= int(_try(client, "admin").headers["retry-after"]) <= 60
    _let_time_pass(gateway, timedelta(seconds=61))
    assert _try(client, "admin").status_code == 200
    assert _try(client, "admin", "wrong").status_code == 400
    assert _try(client, "admin").status_code == 200


def test_attempts_during_a_pause_do_not_lengthen_it(client: TestClient, gateway: GatewayContainer) -> None:
    for _ in range(20):
        _try(client, "admin", "wrong")
    _let_time_pass(gateway, timedelta(seconds=31))
    assert _try(client, "admin").status_code == 200


def _try_from(gateway: GatewayContainer, address: str, name: str = "admin", *, succeeds: bool = False) -> float:
    """Seconds to wait of an attempt from ``address``; a success is recorded as one."""
    limits, now = login_throttle.LoginLimits(5, 100), datetime.now(UTC)
    with gateway.transaction() as session:
        wait = login_throttle.begin_attempt(session, name, address, limits, now)
        if succeeds and not wait:
            login_throttle.record_success(session, name, address, now)
    return wait


def test_an_outsider_locks_nobody_out_where_they_sign_in_from(gateway: GatewayContainer) -> None:
    assert _try_from(gateway, "192.0.2.1", succeeds=True) == 0
    waits = [_try_from(gateway, f"198.51.100.{number % 50}") for number in range(60)]
    assert waits[-1] > 0, "guesses from many addresses are slowed down together"
    assert _try_from(gateway, "203.0.113.9") > 0, "also from an address that has not guessed yet"
    assert _try_from(gateway, "192.0.2.1", succeeds=True) == 0


def test_a_known_address_is_locked_out_by_its_own_failures(gateway: GatewayContainer) -> None:
    _try_from(gateway, "192.0.2.1", succeeds=True)
    assert [_try_from(gateway, "192.0.2.1") > 0 for _ in range(6)] == [False] * 5 + [True]


def test_a_new_password_by_an_administrator_ends_all_lockouts_of_a_user(gateway: GatewayContainer) -> None:
    for number in range(60):
        _try_from(gateway, f"198.51.100.{number % 50}")
    with gateway.transaction() as session:
        login_throttle.clear_lockout(session, "admin")
    assert _try_from(gateway, "198.51.100.1") == 0


def test_a_broken_client_with_a_key_locks_out_no_people(start: Start) -> None:
    client = start(gateway_login_per_address=3)
    form = {"grant_type": "client_credentials", "client_id": "none", "client_secret": "none"}
    assert [client.post("/auth/token", data=form).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert _try(client, "admin").status_code == 200


def test_one_address_may_fail_only_so_often_however_many_users_it_tries(start: Start) -> None:
    client = start(gateway_login_per_address=6)
    for number in range(6):
        assert _try(client, f"user{number}", "wrong").status_code == 400
    assert _try(client, "admin").status_code == 429


def test_successful_sign_ins_do_not_use_up_the_address(start: Start) -> None:
    client = start(gateway_login_per_address=3)
    assert {_try(client, "admin").status_code for _ in range(8)} == {200}


def test_the_log_tells_of_failures_and_pauses_and_never_what_was_typed(
    client: TestClient, gateway: GatewayContainer
) -> None:
    for _ in range(5):
        _try(client, "my-secret-in-the-wrong-field", "wrong")
    _try(client, "admin", "wrong")
    assert _audit(gateway, "login.failed") == ["user admin", *["user (unknown)"] * 5]
    assert _audit(gateway, "login.locked") == ["user (unknown)"]


def test_too_many_at_once_are_asked_to_come_back(
    client: TestClient, gateway: GatewayContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.passwords, "_most_waiting", 0)
    answer = _try(client, "admin")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("grant", ["authorization_code", "implicit", "password2"])
def test_other_grants_are_refused_in_the_words_of_the_rfc(client: TestClient, grant: str) -> None:
    answer = client.post("/auth/token", data={"grant_type": grant})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_private_keys_lie_encrypted_in_the_database(gateway: GatewayContainer) -> None:
    with Session(gateway.engine) as session:
        stored = session.query(SigningKeyRow).one().private_key
    assert "PRIVATE" not in stored
    assert stored.startswith("gAAAA")


def test_a_rotated_key_is_published_before_it_signs(
    client: TestClient, gateway: GatewayContainer, admin: dict[str, str]
) -> None:
    before = {key["kid"] for key in client.get("/.well-known/jwks.json").json()["keys"]}
    made = client.post("/admin/signing-keys/rotate", json={}, headers=admin).json()
    after = {key["kid"] for key in client.get("/.well-known/jwks.json").json()["keys"]}
    assert after == before | {made["kid"]}
    token = _try(client, "admin").json()["access_token"]
    assert jwt.get_unverified_header(token)["kid"] in before
    assert client.get("/auth/me", headers=admin).status_code == 200


def test_rotation_is_automatic_and_happens_once(gateway: GatewayContainer) -> None:
    with gateway.transaction() as session:
        row = session.query(SigningKeyRow).one()
        row.signs_from -= timedelta(days=31)
    assert gateway.signing.rotate_if_due(30 * 86_400)
    assert not gateway.signing.rotate_if_due(30 * 86_400)


def test_after_a_compromise_no_old_token_counts(client: TestClient, admin: dict[str, str]) -> None:
    refresh = _try(client, "admin").json()["refresh_token"]
    assert client.post("/admin/signing-keys/rotate", json={"compromised": True}, headers=admin).status_code == 201
    assert client.get("/auth/me", headers=admin).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert client.post("/auth/token", data=form).json()["error"] == "invalid_grant", "everybody signs in again"
    fresh = _try(client, "admin").json()["access_token"]
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {fresh}"}).status_code == 200


def test_attempts_are_forgotten_in_time(client: TestClient, gateway: GatewayContainer) -> None:
    _try(client, "admin", "wrong")
    with gateway.transaction() as session:
        login_throttle.delete_expired_attempts(session, datetime.now(UTC) + timedelta(hours=25))
        assert session.query(LoginAttemptRow).count() == 0
