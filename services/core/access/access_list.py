"""The access list: all that a service has to know to verify tokens and keys by itself.

The gateway makes it, the others fetch it and keep it (``list_follower``). It holds public keys, hashes and
names; no secret can be made from it.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.core.access.caller import Caller
from services.core.access.keys import PREFIX, digest, key_id
from services.core.access.refusals import Reason, Refusal
from services.core.access.roles import Role
from services.core.access.tokens import LEEWAY_SECONDS, AccessClaims, PublicKeys

REMEMBERED = 10_000
"""Verified credentials that are held in memory; the oldest is forgotten for a new one."""

_FOREVER = float("inf")


class KeyEntry(BaseModel):
    """One API key in force."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(min_length=1, max_length=64)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    name: str
    role: Role
    centre: str = Field(min_length=1)
    centres: frozenset[str] | Literal["*"] = frozenset()
    use_cases: frozenset[str] | None = None
    expires_at: AwareDatetime | None = None

    def caller(self) -> Caller:
        centres = None if isinstance(self.centres, str) else self.centres
        return Caller("key", self.id, self.name, self.role, self.centre, centres, self.use_cases)


class Revocation(BaseModel):
    """Tokens that are refused although they have not run out: one by its ``jti``, or all of a user or key
    (``sub``), issued up to ``before`` where that is given, so that a new sign-in works at once."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    jti: str | None = None
    sub: str | None = None
    before: AwareDatetime | None = None
    until: AwareDatetime | None = None
    """When the last of these tokens has run out, and the entry leaves the list."""

    @model_validator(mode="after")
    def _names_something(self) -> Revocation:
        if self.jti is None and self.sub is None:
            raise ValueError("A revocation names a jti or a sub.")
        return self


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


class AccessListDocument(BaseModel):
    """The list as it travels and as it lies on disk."""

    model_config = ConfigDict(extra="ignore")

    issued_at: AwareDatetime
    jwks: KeySet
    keys: list[KeyEntry]
    revoked: list[Revocation] = []

    def says_the_same_as(self, other: AccessListDocument) -> bool:
        return (self.jwks, self.keys, self.revoked) == (other.jwks, other.keys, other.revoked)


class AccessList:
    """One state of the list, ready to verify with. It never changes; a newer one takes its place, and with
    it what is remembered goes."""

    def __init__(self, document: AccessListDocument, *, remembered: int = REMEMBERED) -> None:
        self.document = document
        self._public = PublicKeys(document.jwks.keys)
        self._keys = {entry.sha256: (entry.caller(), _seconds(entry.expires_at, _FOREVER)) for entry in document.keys}
        self._key_ids = {entry.id for entry in document.keys}
        self._jtis = {entry.jti for entry in document.revoked if entry.jti is not None}
        self._subs: dict[str, float] = {}
        for entry in document.revoked:
            if entry.sub is not None:
                before = _seconds(entry.before, _FOREVER)
                self._subs[entry.sub] = max(before, self._subs.get(entry.sub, before))
        self._most = remembered
        self._remembered: dict[str, tuple[Caller, float]] = {}
        self._remembering = threading.Lock()

    def verify(self, credential: str, now: float) -> Caller | Refusal:
        """Who shows this token or key at ``now`` (Unix seconds)."""
        known = self._remembered.get(credential)
        if known is not None and now < known[1]:
            return known[0]
        found = self._key(credential, now) if credential.startswith(PREFIX) else self._token(credential, now)
        if isinstance(found, Refusal):
            return found
        with self._remembering:
            while len(self._remembered) >= self._most:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[credential] = found
        return found[0]

    def _key(self, text: str, now: float) -> tuple[Caller, float] | Refusal:
        if key_id(text) is None:
            return Refusal(Reason.MALFORMED)
        found = self._keys.get(digest(text))
        if found is None:
            return Refusal(Reason.UNKNOWN)
        return found if now < found[1] else Refusal(Reason.EXPIRED)

    def _token(self, text: str, now: float) -> tuple[Caller, float] | Refusal:
        claims = self._public.verify(text, now)
        if isinstance(claims, Refusal):
            return claims
        if self.is_revoked(claims):
            return Refusal(Reason.REVOKED)
        return claims.caller(), claims.exp + LEEWAY_SECONDS

    def is_revoked(self, claims: AccessClaims) -> bool:
        """Whether a token that says this was taken back before its end."""
        if claims.kind == "key" and claims.sub not in self._key_ids:
            return True  # a token that was issued for a key ends with the key
        return claims.jti in self._jtis or claims.iat <= self._subs.get(claims.sub, -1.0)


def _seconds(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()
