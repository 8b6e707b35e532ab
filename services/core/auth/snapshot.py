"""Auth snapshot: public keys, hashes of API keys and revocations, with which a service verifies callers offline.

The gateway issues it; services fetch it (``snapshot_poller``) and store it on disk, so that they can verify callers
right after a restart while the gateway is down. No secret can be derived from it."""

from __future__ import annotations

import os
import stat
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.core.auth.credentials import (
    LEEWAY_SECONDS,
    AccessClaims,
    PublicKeys,
    hash_api_key,
    parse_key_id,
)
from services.core.auth.principal import API_KEY_PREFIX, AuthError, AuthErrorCode, Principal, Role
from services.core.errors import VigieError
from services.core.io import atomic_write

MAX_CACHED_CREDENTIALS = 10_000
"""Maximum number of verified credentials cached in memory; the oldest is evicted."""

_NEVER = float("inf")


class ApiKeyEntry(BaseModel):
    """One valid API key."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(min_length=1, max_length=64)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    name: str
    role: Role
    centre: str = Field(min_length=1)
    centres: frozenset[str] | Literal["*"] = frozenset()
    use_cases: frozenset[str] | None = None
    expires_at: AwareDatetime | None = None

    def caller(self) -> Principal:
        centres = None if isinstance(self.centres, str) else self.centres
        return Principal("key", self.id, self.name, self.role, self.centre, centres, self.use_cases)


class Revocation(BaseModel):
    """Revoked tokens: one by its ``jti``, all of a sign-in (``sid``), or all of a user or key (``sub``), limited to
    those issued up to ``before`` if it is given, so that a new login works at once."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    jti: str | None = None
    sid: str | None = None
    sub: str | None = None
    before: AwareDatetime | None = None
    until: AwareDatetime | None = None
    """Expiry of the last of these tokens; the entry is removed then."""

    @model_validator(mode="after")
    def _names_something(self) -> Revocation:
        if self.jti is None and self.sid is None and self.sub is None:
            raise ValueError("A revocation names a jti, a sid or a sub.")
        return self


class Withdrawal(BaseModel):
    """Emergency stop: the advice of a use case, one of its targets or one version is withdrawn until it is lifted."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(min_length=1, max_length=64)
    use_case: str = Field(min_length=1, max_length=64)
    target: str | None = Field(default=None, description="The one target that is withdrawn; null: all.")
    version: int | None = Field(default=None, description="The one version that is withdrawn; null: whatever answers.")
    reason: str
    by: str
    at: AwareDatetime


class JsonWebKeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


class AuthSnapshotDocument(BaseModel):
    """The snapshot's JSON document, on the wire and on disk."""

    model_config = ConfigDict(extra="ignore")

    issued_at: AwareDatetime
    jwks: JsonWebKeySet
    keys: list[ApiKeyEntry]
    revoked: list[Revocation] = []
    withdrawn: list[Withdrawal] = []
    lifted: list[str] = []
    """Ids of withdrawals that were lifted: one that is merely absent, as after a loss of the database, stays."""

    def has_same_content(self, other: AuthSnapshotDocument) -> bool:
        return self._content() == other._content()

    def keeping_withdrawals_of(self, before: AuthSnapshotDocument) -> AuthSnapshotDocument:
        """This document with the withdrawals of an earlier one that nobody has lifted since."""
        known = {entry.id for entry in self.withdrawn} | set(self.lifted)
        kept = [entry for entry in before.withdrawn if entry.id not in known]
        return self.model_copy(update={"withdrawn": [*self.withdrawn, *kept]}) if kept else self

    def _content(self) -> tuple[object, ...]:
        return self.jwks, self.keys, self.revoked, self.withdrawn, self.lifted


class AuthSnapshot:
    """An immutable snapshot with a cache of verified credentials; replaced, with its cache, by a newer one."""

    def __init__(self, document: AuthSnapshotDocument, *, remembered: int = MAX_CACHED_CREDENTIALS) -> None:
        self.document = document
        self._public = PublicKeys(document.jwks.keys)
        self._keys = {
            entry.sha256: (entry.caller(), _timestamp_or(entry.expires_at, _NEVER)) for entry in document.keys
        }
        self._key_ids = {entry.id for entry in document.keys}
        self._jtis = {entry.jti for entry in document.revoked if entry.jti is not None}
        self._sids = {entry.sid for entry in document.revoked if entry.sid is not None}
        self._subs: dict[str, float] = {}
        for entry in document.revoked:
            if entry.sub is not None:
                before = _timestamp_or(entry.before, _NEVER)
                self._subs[entry.sub] = max(before, self._subs.get(entry.sub, before))
        self._most = remembered
        self._remembered: dict[str, tuple[Principal, float]] = {}
        self._remembering = threading.Lock()

    def verify(self, credential: str, now: float) -> Principal | AuthError:
        """Authenticate a token or API key at ``now`` (Unix seconds)."""
        known = self._remembered.get(credential)
        if known is not None and now < known[1]:
            return known[0]
        found = self._key(credential, now) if credential.startswith(API_KEY_PREFIX) else self._token(credential, now)
        if isinstance(found, AuthError):
            return found
        with self._remembering:
            while len(self._remembered) >= self._most:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[credential] = found
        return found[0]

    def _key(self, text: str, now: float) -> tuple[Principal, float] | AuthError:
        if parse_key_id(text) is None:
            return AuthError(AuthErrorCode.MALFORMED)
        found = self._keys.get(hash_api_key(text))
        if found is None:
            return AuthError(AuthErrorCode.UNKNOWN)
        return found if now < found[1] else AuthError(AuthErrorCode.EXPIRED)

    def _token(self, text: str, now: float) -> tuple[Principal, float] | AuthError:
        claims = self._public.verify(text, now)
        if isinstance(claims, AuthError):
            return claims
        if self.is_revoked(claims):
            return AuthError(AuthErrorCode.REVOKED)
        return claims.caller(), claims.exp + LEEWAY_SECONDS

    def is_revoked(self, claims: AccessClaims) -> bool:
        """Whether the token with these claims was revoked."""
        if claims.kind == "key" and claims.sub not in self._key_ids:
            return True  # tokens issued for an API key are revoked with the key
        if claims.sid is not None and claims.sid in self._sids:
            return True
        return claims.jti in self._jtis or claims.iat <= self._subs.get(claims.sub, -1.0)


class NewCredentials:
    """Credentials that may be newer than the snapshot, until one that was asked for after their first use.

    What strangers send is bounded: ``MOST_WAITING`` wait for one snapshot, and they cause ``MOST_LOOKS`` extra looks at
    once and one more for every ``seconds``."""

    MOST_WAITING = 10
    MOST_LOOKS = 5
    REMEMBERED = 1_000

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked = self._answered = 0
        self._needed: dict[str, int] = {}
        self._looks, self._refilled = float(self.MOST_LOOKS), 0.0
        self._lock = threading.Lock()

    def asking(self) -> int:
        """Note that a snapshot is asked for now; return its number."""
        self._asked += 1
        return self._asked

    def answered(self, number: int) -> None:
        """Note that the snapshot of this number is in force."""
        self._answered = number

    def may_be_new(self, credential: str) -> bool:
        """Whether no snapshot was asked for and received since the first use of this unknown credential."""
        key = hash_api_key(credential)
        with self._lock:
            needed = self._needed.get(key)
            if needed is None:
                following = self._asked + 1
                if sum(other == following for other in self._needed.values()) >= self.MOST_WAITING:
                    return False
                while len(self._needed) >= self.REMEMBERED:
                    del self._needed[next(iter(self._needed))]
                needed = self._needed[key] = following
            return self._answered < needed

    def may_look(self, now: float) -> bool:
        """Whether an unknown credential may cause one more look at ``now`` (Unix seconds); counts it."""
        with self._lock:
            self._looks = min(self.MOST_LOOKS, self._looks + max(0.0, now - self._refilled) / self._seconds)
            self._refilled = now
            if self._looks < 1:
                return False
            self._looks -= 1
            return True


def _timestamp_or(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()


class SnapshotFile:
    """The snapshot on disk, with access for the service's own user only: write access would allow forging
    credentials."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> AuthSnapshotDocument | None:
        """Load the stored snapshot; None if there is none.

        Raises:
            VigieError: the file's permissions are unsafe, or it cannot be parsed.
        """
        try:
            with self.path.open("rb") as stream:
                self._require_private(os.fstat(stream.fileno()))
                return AuthSnapshotDocument.model_validate_json(stream.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VigieError(f"The access list {self.path} cannot be read: {error.strerror}.") from None
        except ValidationError:
            raise VigieError(
                f"The access list {self.path} is damaged.", action="Delete it; the gateway gives a new one."
            ) from None

    def save(self, document: AuthSnapshotDocument) -> None:
        """Replace the file atomically.

        Raises:
            OSError: it cannot be written.
        """
        atomic_write(self.path, document.model_dump_json(), mode=0o600, durable=True)

    def _require_private(self, found: os.stat_result) -> None:
        others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if others_write or found.st_uid not in {os.geteuid(), 0}:
            raise VigieError(
                f"The access list {self.path} is not used: others than this service may write it.",
                expected="a file of the service's own user with mode 0600",
                action="Find out who changed it, and delete it; the gateway gives a new one.",
            )
