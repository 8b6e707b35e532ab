"""Access tokens: short-lived JWTs, signed with ES256, that every service verifies with the public key alone."""

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
"""How far the clocks of two services may be apart."""
MAX_TOKEN_LENGTH = 8_192
"""Characters of a token; longer ones are not looked at."""

Wildcard = Literal["*"]


class AccessClaims(BaseModel):
    """What a token says: RFC 7519 names, and who its owner is."""

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
    """The sign-in that the token belongs to."""

    def caller(self) -> Principal:
        return Principal(
            kind=self.kind,
            id=self.sub,
            name=self.name,
            role=self.role,
            centre=self.centre,
            centres=None if isinstance(self.centres, str) else self.centres,
            use_cases=self.use_cases,
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
    """A token for ``caller`` (a user or a key) and what it says. ``now`` is in Unix seconds; ``jti`` is the
    name that the token is revoked by.

    Raises:
        ValueError: a service was given; services have a credential of their own.
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
    )
    payload: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, **claims.model_dump(mode="json", exclude_none=True)}
    for name in ("centres", "use_cases"):
        if isinstance(payload.get(name), list):
            payload[name].sort()
    return jwt.encode(payload, key.private_key, ALGORITHM, headers={"kid": key.kid}), claims


class _UnknownKeyError(Exception):
    pass


class PublicKeys:
    """The public keys of a JSON Web Key Set, by key id. Keys of another kind are left out: a set may hold
    them, a token of ours never needs them."""

    def __init__(self, keys: Iterable[Mapping[str, Any]]) -> None:
        self._keys: dict[str, EllipticCurvePublicKey] = {}
        for key in keys:
            if key.get("kty") == "EC" and key.get("crv") == "P-256" and key.get("kid"):
                loaded = jwt.PyJWK({**key, "alg": ALGORITHM}).key
                assert isinstance(loaded, EllipticCurvePublicKey)
                self._keys[str(key["kid"])] = loaded

    def verify(self, token: str, now: float, *, expired_for_seconds: float = 0.0) -> AccessClaims | AuthError:
        """What ``token`` says, if one of these keys signed it and it is in force at ``now`` (Unix seconds).
        The algorithm is ours and never the token's choice. ``expired_for_seconds`` is for taking back and renewing
        alone: who shows a token that ran out so long ago is known, and may do nothing by it."""
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
            # Times are checked by ``verify``: one clock for the token and for what is remembered of it.
            options={
                "require": ["exp", "iat", "sub", "jti", "iss", "aud"],
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return AccessClaims.model_validate(payload)
