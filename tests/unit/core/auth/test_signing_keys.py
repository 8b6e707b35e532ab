"""Signing keys follow one another, and nobody's token is refused meanwhile."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.core.auth.credentials import (
    LEAD_SECONDS,
    LEEWAY_SECONDS,
    LIFETIME_SECONDS,
    OVERLAP_SECONDS,
    AccessClaims,
    PublicKeys,
    SigningKey,
    SigningKeyRing,
    issue_token,
)
from services.core.auth.principal import Principal
from services.core.errors import VigieError


def test_the_first_key_signs_at_once(now: float) -> None:
    keys = SigningKeyRing.of().rotated(now)
    assert keys.signer(now) in keys.published(now)


def test_without_a_key_nothing_is_signed(now: float) -> None:
    with pytest.raises(VigieError, match="No signing key"):
        SigningKeyRing.of().signer(now)


def test_a_new_key_is_published_before_it_signs(now: float) -> None:
    first = SigningKeyRing.of().rotated(now)
    both = first.rotated(now + 1_000)
    assert len(both.published(now + 1_000)) == 2
    assert both.signer(now + 1_000) == first.keys[0]
    assert both.signer(now + 1_000 + LEAD_SECONDS) == both.keys[1]


def test_an_old_key_is_published_until_its_last_token_has_run_out(now: float) -> None:
    both = SigningKeyRing.of().rotated(now).rotated(now + 1_000)
    end = now + 1_000 + LEAD_SECONDS + OVERLAP_SECONDS
    assert len(both.published(end - 1)) == 2
    assert both.published(end) == both.keys[1:]
    assert OVERLAP_SECONDS > LIFETIME_SECONDS + LEEWAY_SECONDS


def test_no_token_is_refused_while_keys_rotate(now: float, dispatcher: Principal) -> None:
    """Each token is verified by a service that looked when it was issued and when it ends."""
    keys, moment = SigningKeyRing.of().rotated(now), now
    issued: list[tuple[float, str]] = []
    while moment < now + 5_000:
        if keys.due(moment, every_seconds=1_500):
            keys = keys.rotated(moment)
        issued.append((moment, issue_token(dispatcher, keys.signer(moment), jti="t", now=moment)[0]))
        published = PublicKeys(keys.jwks(moment)["keys"])
        for at, token in issued:
            if moment < at + LIFETIME_SECONDS:
                assert isinstance(published.verify(token, moment), AccessClaims)
        moment += 60


def test_keys_that_are_published_no_more_are_left_out(now: float) -> None:
    keys = SigningKeyRing.of()
    for turn in range(5):
        keys = keys.rotated(now + turn * 10_000)
    assert len(keys.keys) == 2


def test_a_key_survives_being_kept_as_text(now: float, dispatcher: Principal, signing_key: SigningKey) -> None:
    again = SigningKey.from_pem(signing_key.kid, signing_key.pem(), signing_key.signs_from)
    token, claims = issue_token(dispatcher, again, jti="t", now=now)
    assert PublicKeys([signing_key.public_jwk()]).verify(token, now) == claims


def test_another_curve_or_no_key_at_all_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for pem in (other.decode(), "no key"):
        with pytest.raises(VigieError, match="cannot be read"):
            SigningKey.from_pem("k", pem, 0.0)


def test_the_public_half_holds_nothing_private(signing_key: SigningKey) -> None:
    assert set(signing_key.public_jwk()) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert "PRIVATE" not in repr(signing_key)
    assert "private" not in repr(signing_key).lower()
