"""Access tokens: short-lived JWTs, signed with ES256, verified by every service with the public key alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.auth.principal import AuthError, AuthErrorCode, Principal, Role
from services.core.auth.signing_keys import ALGORITHM, SigningKey

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
    must_change_password: bool | None = None

    def caller(self) -> Principal:
        return Principal(
            kind=self.kind,
            id=self.sub,
            name=self.name,
            role=self.role,
            centre=self.centre,
            centres=None if isinstance(self.centres, str) else self.centres,
            use_cases=self.use_cases,
            must_change_password=bool(self.must_change_password),
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
        must_change_password=caller.must_change_password or None,
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
        self._keys: dict[str, EllipticCurvePublicKey] = {}
        for key in keys:
            if key.get("kty") == "EC" and key.get("crv") == "P-256" and key.get("kid"):
                loaded = jwt.PyJWK({**key, "alg": ALGORITHM}).key
                assert isinstance(loaded, EllipticCurvePublicKey)
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
