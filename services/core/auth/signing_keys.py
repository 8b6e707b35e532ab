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
"""From publishing a key to signing with it; services look every ten seconds."""
OVERLAP_SECONDS = 900.0
"""How long a key is still published once the next one signs: longer than any token lives."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """``signs_from`` is in Unix seconds. The private key is shown by no ``repr``."""

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
        """
        Raises:
            VigieError: the text is not the private key of the right curve.
        """
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except ValueError:
            key = None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise VigieError(f"The signing key {kid} cannot be read.", expected="an unencrypted P-256 key in PEM")
        return cls(kid, key, signs_from)

    def pem(self) -> str:
        """The private key in PEM (PKCS #8), unencrypted: for the database alone."""
        made = self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return made.decode()

    def public_jwk(self) -> dict[str, Any]:
        """The public half as a JSON Web Key (RFC 7517)."""
        made: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(self.private_key.public_key()))
        return {"kty": made["kty"], "crv": made["crv"], "x": made["x"], "y": made["y"]} | {
            "kid": self.kid,
            "alg": ALGORITHM,
            "use": "sig",
        }


@dataclass(frozen=True, slots=True)
class SigningKeyRing:
    """The keys in the order in which they sign. All times are Unix seconds."""

    keys: tuple[SigningKey, ...]

    @classmethod
    def of(cls, *keys: SigningKey) -> SigningKeyRing:
        return cls(tuple(sorted(keys, key=lambda key: key.signs_from)))

    def signer(self, now: float) -> SigningKey:
        """The key that signs at ``now``: the last one whose time has come.

        Raises:
            VigieError: there is none.
        """
        ready = [key for key in self.keys if key.signs_from <= now]
        if not ready:
            raise VigieError("No signing key is in force.", action="Rotate the signing keys on the gateway.")
        return ready[-1]

    def published(self, now: float) -> tuple[SigningKey, ...]:
        """The keys whose tokens are accepted: those to come, the one that signs, and those before it
        until their last token has run out."""
        return tuple(
            key
            for key, later in zip_longest(self.keys, self.keys[1:])
            if later is None or now < later.signs_from + OVERLAP_SECONDS
        )

    def rotated(self, now: float) -> SigningKeyRing:
        """With one more key, which signs after the lead; the very first signs at once. Keys that are
        published no more are left out."""
        signs_from = now + LEAD_SECONDS if self.keys else now
        return SigningKeyRing.of(*self.published(now), SigningKey.new(signs_from))

    def due(self, now: float, every_seconds: float) -> bool:
        """Whether the newest key is as old as ``every_seconds``, or there is none."""
        return not self.keys or now - self.keys[-1].signs_from >= every_seconds

    def jwks(self, now: float) -> dict[str, list[dict[str, Any]]]:
        """The published public keys as a JSON Web Key Set."""
        return {"keys": [key.public_jwk() for key in self.published(now)]}
