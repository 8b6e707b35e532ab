"""A second factor is asked for once it is enrolled, counts once, and can be required of operators and above."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pyotp
import pytest
from fastapi.testclient import TestClient

from services.gateway.auth import second_factor
from services.gateway.container import GatewayContainer
from tests.gateways import PASSWORD

Headers = dict[str, str]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the second factor, seconds."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(second_factor, "time", SimpleNamespace(time=lambda: now[0]))
    return now


def _token(client: TestClient, **more: str) -> Any:
    return client.post("/auth/token", data={"grant_type": "password", "username": "admin", "password": PASSWORD} | more)


def _enrolled(client: TestClient, admin: Headers, now: float) -> tuple[pyotp.TOTP, Headers]:
    made = client.post("/auth/second-factor", headers=admin).json()
    totp = pyotp.TOTP(made["secret"])
    assert made["uri"].startswith("otpauth://totp/Vigie:admin?")
    answer = client.post("/auth/second-factor/confirm", json={"code": totp.at(int(now))}, headers=admin)
    assert answer.status_code == 200, answer.text
    return totp, {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_password_alone_is_not_enough_any_more(client: TestClient, admin: Headers, clock: list[float]) -> None:
    now = clock
    totp, _ = _enrolled(client, admin, now[0])
    assert client.get("/auth/me", headers=admin).status_code == 401, "older sessions end"
    assert _token(client).json()["error"] == "second_factor_required"
    body = {"username": "admin", "password": PASSWORD}
    assert client.post("/auth/session", json=body).json()["errors"][0]["type"] == "second_factor_required"
    now[0] += 60
    assert _token(client, otp="000000").json()["error"] == "invalid_grant"
    assert _token(client, otp=totp.at(int(now[0]))).status_code == 200


def test_a_wrong_password_does_not_say_that_there_is_a_second_factor(
    client: TestClient, admin: Headers, clock: list[float]
) -> None:
    _enrolled(client, admin, clock[0])
    assert _token(client, password="not the password").json()["error"] == "invalid_grant"


def test_a_code_counts_once_and_for_a_minute(client: TestClient, admin: Headers, clock: list[float]) -> None:
    now = clock
    totp, _ = _enrolled(client, admin, now[0])
    now[0] += 60
    code = totp.at(int(now[0]))
    assert _token(client, otp=code).status_code == 200
    assert _token(client, otp=code).status_code == 400
    now[0] += 300
    assert _token(client, otp=totp.at(int(now[0]) - 90)).status_code == 400


def test_guesses_of_codes_are_throttled_like_passwords(client: TestClient, admin: Headers, clock: list[float]) -> None:
    _enrolled(client, admin, clock[0])
    assert [_token(client, otp=f"{number:06}").status_code for number in range(6)] == [400] * 5 + [429]


def test_an_unconfirmed_second_factor_is_not_asked_for(client: TestClient, admin: Headers) -> None:
    client.post("/auth/second-factor", headers=admin)
    wrong = client.post("/auth/second-factor/confirm", json={"code": "000000"}, headers=admin)
    assert wrong.status_code == 400
    assert _token(client).status_code == 200


def test_the_secret_lies_encrypted_in_the_database(
    client: TestClient, admin: Headers, gateway: GatewayContainer, clock: list[float]
) -> None:
    totp, _ = _enrolled(client, admin, clock[0])
    with gateway.engine.connect() as connection:
        (stored,) = connection.exec_driver_sql("SELECT totp_secret FROM users WHERE name = 'admin'").one()
    assert totp.secret not in stored


def test_an_administrator_removes_the_second_factor_of_somebody_without_a_phone(
    client: TestClient, admin: Headers, clock: list[float]
) -> None:
    _, fresh = _enrolled(client, admin, clock[0])
    assert client.delete("/admin/users/admin/second-factor", headers=fresh).status_code == 204
    assert _token(client).status_code == 200


def test_where_it_is_required_operators_and_above_enrol_before_anything_else(
    start: Callable[..., TestClient], clock: list[float]
) -> None:
    client, now = start(gateway_second_factor_required=True), clock
    first = {"Authorization": f"Bearer {_token(client).json()['access_token']}"}
    refused = client.get("/admin/users", headers=first)
    assert (refused.status_code, refused.json()["errors"][0]["type"]) == (403, "second_factor_enrolment_required")
    assert client.get("/auth/me", headers=first).json()["pending"] == "second_factor"
    _, fresh = _enrolled(client, first, now[0])
    assert client.get("/admin/users", headers=fresh).status_code == 200
