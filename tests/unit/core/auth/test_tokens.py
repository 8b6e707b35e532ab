"""Who holds a token is believed if we signed it, for us, and it is in force; in every other case it is refused."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.core.auth.credentials import (
    LEEWAY_SECONDS,
    LIFETIME_SECONDS,
    AccessClaims,
    PublicKeys,
    SigningKey,
    issue_token,
)
from services.core.auth.principal import AuthError, AuthErrorCode, Principal


@pytest.fixture
def public(signing_key: SigningKey) -> PublicKeys:
    return PublicKeys([signing_key.public_jwk()])


def _payload(now: float, **changes: Any) -> dict[str, Any]:
    made = {"iss": "vigie", "aud": "vigie", "sub": "u-1", "jti": "t-1", "iat": now, "exp": now + 600}
    made |= {"name": "Ada", "role": "viewer", "centre": "north", "kind": "user"}
    made |= changes
    return {name: value for name, value in made.items() if value is not None}


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _signed(key: SigningKey, payload: dict[str, Any], **headers: Any) -> str:
    return jwt.encode(payload, key.private_key, "ES256", headers={"kid": key.kid, **headers})


@pytest.mark.parametrize("changes", [{}, {"centres": frozenset()}, {"centres": None}, {"use_cases": None}])
def test_a_token_brings_back_who_it_was_issued_for(
    public: PublicKeys, signing_key: SigningKey, dispatcher: Principal, now: float, changes: dict[str, Any]
) -> None:
    caller = replace(dispatcher, **changes)
    token, claims = issue_token(caller, signing_key, jti="t-1", now=now)
    verified = public.verify(token, now)
    assert verified == claims
    assert isinstance(verified, AccessClaims)
    assert verified.caller() == caller


def test_a_token_runs_out_after_ten_minutes_and_the_leeway(
    public: PublicKeys, signing_key: SigningKey, dispatcher: Principal, now: float
) -> None:
    token, _ = issue_token(dispatcher, signing_key, jti="t-1", now=now)
    end = now + LIFETIME_SECONDS + LEEWAY_SECONDS
    assert isinstance(public.verify(token, end - 1), AccessClaims)
    assert public.verify(token, end) == AuthError(AuthErrorCode.EXPIRED)


def test_a_token_from_the_future_is_refused(
    public: PublicKeys, signing_key: SigningKey, dispatcher: Principal, now: float
) -> None:
    token, _ = issue_token(dispatcher, signing_key, jti="t-1", now=now)
    assert isinstance(public.verify(token, now - LEEWAY_SECONDS + 1), AccessClaims)
    assert public.verify(token, now - LEEWAY_SECONDS - 1) == AuthError(AuthErrorCode.NOT_YET)


def test_another_key_under_our_key_id_is_refused(public: PublicKeys, signing_key: SigningKey, now: float) -> None:
    forged = replace(SigningKey.new(0.0), kid=signing_key.kid)
    assert public.verify(_signed(forged, _payload(now)), now) == AuthError(AuthErrorCode.BAD_SIGNATURE)


def test_a_key_that_is_not_published_is_refused(public: PublicKeys, now: float) -> None:
    assert public.verify(_signed(SigningKey.new(0.0), _payload(now)), now) == AuthError(AuthErrorCode.UNKNOWN)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE"])
def test_the_algorithm_none_is_refused(public: PublicKeys, signing_key: SigningKey, now: float, algorithm: str) -> None:
    header = _part({"alg": algorithm, "typ": "JWT", "kid": signing_key.kid})
    assert public.verify(f"{header}.{_part(_payload(now))}.", now) == AuthError(AuthErrorCode.MALFORMED)


def test_the_public_key_is_no_shared_secret(public: PublicKeys, signing_key: SigningKey, now: float) -> None:
    secret = signing_key.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_part({'alg': 'HS256', 'kid': signing_key.kid})}.{_part(_payload(now))}"
    signature = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
    assert public.verify(f"{signed}.{signature}", now) == AuthError(AuthErrorCode.MALFORMED)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"aud": ["vigie", "another"]},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"sub": None},
        {"exp": "never"},
        {"role": "root"},
        {"role": None},
        {"centre": None},
        {"centres": "all"},
        {"use_cases": "*"},
        {"kind": "service"},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items()),
)
def test_a_token_that_says_something_else_is_refused(
    public: PublicKeys, signing_key: SigningKey, now: float, changes: dict[str, Any]
) -> None:
    assert isinstance(public.verify(_signed(signing_key, _payload(now)), now), AccessClaims)
    assert public.verify(_signed(signing_key, _payload(now, **changes)), now) == AuthError(AuthErrorCode.MALFORMED)


@pytest.mark.parametrize("text", ["", "a.b.c", "..", "é.ü.ß", "x" * 100_000, "\x00", "Bearer "])
def test_what_is_no_token_is_refused(public: PublicKeys, now: float, text: str) -> None:
    assert public.verify(text, now) == AuthError(AuthErrorCode.MALFORMED)


def test_one_changed_character_is_noticed(
    public: PublicKeys, signing_key: SigningKey, dispatcher: Principal, now: float
) -> None:
    token, _ = issue_token(dispatcher, signing_key, jti="t-1", now=now)
    head, body, signature = token.split(".")
    swapped = "B" if body[20] != "B" else "C"
    changed = f"{head}.{body[:20]}{swapped}{body[21:]}.{signature}"
    assert isinstance(public.verify(changed, now), AuthError)


def test_services_get_no_tokens(signing_key: SigningKey, dispatcher: Principal, now: float) -> None:
    with pytest.raises(ValueError, match="not for services"):
        issue_token(replace(dispatcher, kind="service"), signing_key, jti="t-1", now=now)
