"""ES256 signing keys and their rotation.

A new key is published before it signs, so that every service has its public half by then. An old key stays published
until the last token that it signed has expired."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from jwt.algorithms import ECAlgorithm

from services.core.errors import VigieError

ALGORITHM = "ES256"
LEAD_SECONDS = 120.0
"""Seconds from publishing a key to signing with it; services poll every ten seconds."""
OVERLAP_SECONDS = 900.0
"""Seconds for which a key stays published after the next one signs: longer than any token's lifetime."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A signing key. ``signs_from`` is in Unix seconds. ``repr`` does not contain the private key."""

    kid: str
    private_key: EllipticCurvePrivateKey
    signs_from: float

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, signs_from={self.signs_from})"

    @classmethod
    def new(cls, signs_from: float) -> SigningKey:
        return cls(uuid.uuid4().hex[:16], generate_private_key(SECP256R1()), signs_from)

    @classmethod
    def from_pem(cls, kid: str, pem: str, signs_from: float) -> SigningKey:
        """Parse a private key.

        Raises:
            VigieError: not a PEM private key of the required curve.
        """
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except ValueError:
            key = None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise VigieError(f"The signing key {kid} cannot be read.", expected="an unencrypted P-256 key in PEM")
        return cls(kid, key, signs_from)

    def pem(self) -> str:
        """Return the private key as unencrypted PEM (PKCS #8), to be encrypted for the database."""
        made = self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return made.decode()

    def public_jwk(self) -> dict[str, Any]:
        """Return the public half as a JSON Web Key (RFC 7517)."""
        made: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(self.private_key.public_key()))
        return {"kty": made["kty"], "crv": made["crv"], "x": made["x"], "y": made["y"]} | {
            "kid": self.kid,
            "alg": ALGORITHM,
            "use": "sig",
        }


@dataclass(frozen=True, slots=True)
class SigningKeyRing:
    """Signing keys in signing order. All times are Unix seconds."""

    keys: tuple[SigningKey, ...]

    @classmethod
    def of(cls, *keys: SigningKey) -> SigningKeyRing:
        return cls(tuple(sorted(keys, key=lambda key: key.signs_from)))

    def signer(self, now: float) -> SigningKey:
        """Return the key that signs at ``now``: the newest whose ``signs_from`` has passed.

        Raises:
            VigieError: there is none.
        """
        ready = [key for key in self.keys if key.signs_from <= now]
        if not ready:
            raise VigieError("No signing key is in force.", action="Rotate the signing keys on the gateway.")
        return ready[-1]

    def published(self, now: float) -> tuple[SigningKey, ...]:
        """Return the keys whose tokens are accepted: future keys, the signing key, and older ones until their last
        token has expired."""
        return tuple(
            key
            for key, later in zip_longest(self.keys, self.keys[1:])
            if later is None or now < later.signs_from + OVERLAP_SECONDS
        )

    def rotated(self, now: float) -> SigningKeyRing:
        """Return a ring with one more key, which signs after the lead time (the very first at once), without those no
        longer published."""
        signs_from = now + LEAD_SECONDS if self.keys else now
        return SigningKeyRing.of(*self.published(now), SigningKey.new(signs_from))

    def due(self, now: float, every_seconds: float) -> bool:
        """Whether the newest key is older than ``every_seconds``, or there is none."""
        return not self.keys or now - self.keys[-1].signs_from >= every_seconds

    def jwks(self, now: float) -> dict[str, list[dict[str, Any]]]:
        """Return the published public keys as a JSON Web Key Set."""
        return {"keys": [key.public_jwk() for key in self.published(now)]}
