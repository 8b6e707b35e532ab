"""Credentials: API keys of dispatch centres, access tokens, and the keys that sign those.

API keys are stored as the SHA-256 of the whole text: the secret has 256 random bits, so a slow hash would add nothing.
Tokens are short-lived JWTs (ES256), verified with the public key alone. A new signing key is published before it signs,
so that every service has its public half by then; an old one until the last token that it signed has expired."""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
import string
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.auth.principal import API_KEY_PREFIX, AuthError, AuthErrorCode, Pending, Principal, Role
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
    private_key: ec.EllipticCurvePrivateKey
    signs_from: float

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, signs_from={self.signs_from})"

    @classmethod
    def new(cls, signs_from: float) -> SigningKey:
        return cls(uuid.uuid4().hex[:16], ec.generate_private_key(ec.SECP256R1()), signs_from)

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
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
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
        named = {name: made[name] for name in ("kty", "crv", "x", "y")}
        return named | {"kid": self.kid, "alg": ALGORITHM, "use": "sig"}


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


ISSUER = AUDIENCE = "vigie"
LIFETIME_SECONDS = 600.0
LEEWAY_SECONDS = 10.0
"""Tolerated clock skew between two services."""
MAX_TOKEN_LENGTH = 8_192
"""Maximum length of a token in characters; longer ones are rejected unparsed."""

Wildcard = Literal["*"]


class AccessClaims(BaseModel):
    """Claims of an access token: RFC 7519 names, and the principal."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    sub: str = Field(min_length=1, max_length=200)
    jti: str = Field(min_length=1, max_length=200)
    iat: float = Field(ge=0, allow_inf_nan=False)
    exp: float = Field(ge=0, allow_inf_nan=False)
    name: str = Field(max_length=200)
    role: Role
    centre: str = Field(min_length=1, max_length=200)
    centres: frozenset[str] | Wildcard = frozenset()
    use_cases: frozenset[str] | None = None
    kind: Literal["user", "key"] = "user"
    sid: str | None = Field(default=None, max_length=64)
    """Session that the token belongs to."""
    pending: Pending | None = None

    def caller(self) -> Principal:
        return Principal(
            kind=self.kind,
            id=self.sub,
            name=self.name,
            role=self.role,
            centre=self.centre,
            centres=None if isinstance(self.centres, str) else self.centres,
            use_cases=self.use_cases,
            pending=self.pending or "",
        )


def issue_token(
    caller: Principal,
    key: SigningKey,
    *,
    jti: str,
    now: float,
    lifetime_seconds: float = LIFETIME_SECONDS,
    sid: str | None = None,
) -> tuple[str, AccessClaims]:
    """Issue a token for ``caller`` (a user or a key); return it and its claims. ``now`` is in Unix seconds; ``jti`` is
    the id for revocation.

    Raises:
        ValueError: ``caller`` is a service; services have a credential of their own.
    """
    if caller.kind == "service":
        raise ValueError("Tokens are for users and keys, not for services.")
    claims = AccessClaims(
        sub=caller.id,
        jti=jti,
        iat=round(now, 3),
        exp=math.ceil(now + lifetime_seconds),
        name=caller.name,
        role=caller.role,
        centre=caller.centre,
        centres="*" if caller.centres is None else caller.centres,
        use_cases=caller.use_cases,
        kind=caller.kind,
        sid=sid,
        pending=caller.pending or None,
    )
    payload: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, **claims.model_dump(mode="json", exclude_none=True)}
    for name in ("centres", "use_cases"):
        if isinstance(payload.get(name), list):
            payload[name].sort()
    return jwt.encode(payload, key.private_key, ALGORITHM, headers={"kid": key.kid}), claims


class _UnknownKeyError(Exception):
    pass


class PublicKeys:
    """Public keys of a JSON Web Key Set by key id. Keys of another type are ignored."""

    def __init__(self, keys: Iterable[Mapping[str, Any]]) -> None:
        self._keys: dict[str, ec.EllipticCurvePublicKey] = {}
        for key in keys:
            if key.get("kty") == "EC" and key.get("crv") == "P-256" and key.get("kid"):
                loaded = jwt.PyJWK({**key, "alg": ALGORITHM}).key
                assert isinstance(loaded, ec.EllipticCurvePublicKey)
                self._keys[str(key["kid"])] = loaded

    def verify(self, token: str, now: float, *, expired_for_seconds: float = 0.0) -> AccessClaims | AuthError:
        """Verify signature and validity at ``now`` (Unix seconds); return the claims.

        The algorithm is fixed, never taken from the token. ``expired_for_seconds`` accepts tokens that expired at most
        so long ago, for revocation and renewal only: they grant no access."""
        try:
            claims = self._claims(token)
        except _UnknownKeyError:
            return AuthError(AuthErrorCode.UNKNOWN)
        except jwt.InvalidSignatureError:
            return AuthError(AuthErrorCode.BAD_SIGNATURE)
        except (jwt.InvalidTokenError, ValidationError):
            return AuthError(AuthErrorCode.MALFORMED)
        if now >= claims.exp + LEEWAY_SECONDS + expired_for_seconds:
            return AuthError(AuthErrorCode.EXPIRED)
        if claims.iat > now + LEEWAY_SECONDS:
            return AuthError(AuthErrorCode.NOT_YET)
        return claims

    def _claims(self, token: str) -> AccessClaims:
        if len(token) > MAX_TOKEN_LENGTH:
            raise jwt.DecodeError("too long")
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise _UnknownKeyError
        payload = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            # ``verify`` checks the times: token and cached credentials use the same clock.
            options={
                "require": ["exp", "iat", "sub", "jti", "iss", "aud"],
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return AccessClaims.model_validate(payload)


_ALPHABET = string.ascii_lowercase + string.digits
_API_KEY_PATTERN = re.compile(r"vig_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A new key with its plain text, shown to its owner once."""

    id: str
    text: str

    def __repr__(self) -> str:
        return f"ApiKey(id={self.id!r})"

    @property
    def sha256(self) -> str:
        return hash_api_key(self.text)


def generate_api_key() -> ApiKey:
    """Generate an API key."""
    name = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return ApiKey(name, f"{API_KEY_PREFIX}{name}_{secrets.token_urlsafe(32)}")


def parse_key_id(text: str) -> str | None:
    """Return the id part of a key; None if the text is not shaped like a key."""
    found = _API_KEY_PATTERN.fullmatch(text)
    return found.group(1) if found else None


def hash_api_key(text: str) -> str:
    """Return the stored form of a key: SHA-256 of its whole text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
