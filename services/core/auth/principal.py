"""Principals and their roles, the error codes of rejected credentials, and the authenticator interface."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

API_KEY_PREFIX = "vig_"
"""How the text of every API key begins."""


AUTH_ERROR_KEY = "auth_error"
"""In the scope of a refused request: the ``AuthErrorCode``."""


class Role(StrEnum):
    """Roles in ascending order; a role includes the rights of those before it."""

    VIEWER = "viewer"
    """reads"""
    DISPATCHER = "dispatcher"
    """predicts and reports outcomes"""
    OPERATOR = "operator"
    """ingests, retrains and approves"""
    ADMIN = "admin"
    """manages users and keys, rolls back, changes settings"""

    def covers(self, other: Role) -> bool:
        """Whether this role includes the rights of ``other``."""
        order = list(Role)
        return order.index(self) >= order.index(other)


Pending = Literal["", "password", "second_factor"]


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user, API key or service.

    ``id`` identifies it, ``name`` is for display. ``centre``: the dispatch centre it belongs to, stored with its calls.
    ``centres``: further centres whose calls it can see; None: all. ``use_cases``: those it can call; None: all.
    ``pending``: what a user has to do before anything else: change a first password, which somebody else knows, or
    enrol a second factor."""

    kind: Literal["user", "key", "service"]
    id: str
    name: str
    role: Role
    centre: str
    centres: frozenset[str] | None = frozenset()
    use_cases: frozenset[str] | None = None
    pending: Pending = ""

    def can_see_centre(self, centre: str) -> bool:
        return self.centres is None or centre == self.centre or centre in self.centres

    def can_call(self, use_case: str) -> bool:
        return self.use_cases is None or use_case in self.use_cases


class AuthErrorCode(StrEnum):
    """Why a credential was rejected."""

    MISSING = "no_credential"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    """an API key, or a token's signing key, that is not in the snapshot (any more)"""
    UNCONFIRMED = "unconfirmed"
    """the same, where it may be newer than the snapshot: the next one tells"""
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    """issued in the future: the clocks differ"""
    REVOKED = "revoked"
    CROSS_SITE = "cross_site"
    """a cookie sent by a cross-site request"""
    NO_LIST = "no_list"
    """no auth snapshot: the gateway has not been reached since the first start"""


_MESSAGES = {
    AuthErrorCode.MISSING: "This needs a token (Authorization: Bearer) or an API key (X-API-Key).",
    AuthErrorCode.MALFORMED: "This is no access token and no API key of this platform.",
    AuthErrorCode.UNKNOWN: "This token or key is not known here, or no longer.",
    AuthErrorCode.UNCONFIRMED: "This token or key may be too new to be known here yet; try again in a moment.",
    AuthErrorCode.BAD_SIGNATURE: "The token's signature is not right.",
    AuthErrorCode.EXPIRED: "The token or key has expired.",
    AuthErrorCode.NOT_YET: "The token was issued in the future: the clocks differ.",
    AuthErrorCode.REVOKED: "The token or key was revoked.",
    AuthErrorCode.CROSS_SITE: "A change with a cookie needs the X-Vigie-CSRF header and has to come from this site.",
    AuthErrorCode.NO_LIST: "The service has not yet learned from the gateway who may call; try again in a moment.",
}


@dataclass(frozen=True, slots=True)
class AuthError:
    reason: AuthErrorCode

    @property
    def message(self) -> str:
        return _MESSAGES[self.reason]


class Authenticator(Protocol):
    """Verifies the credential of a request."""

    def verify(self, credential: str | None) -> Principal | AuthError:
        """Return the principal of ``credential`` (text of a token or API key; None: none was sent). Called on the event
        loop for every request, so it must not block."""


class AllowAll:
    """Authenticator that allows everything, for the demo and for benchmarks on this machine only."""

    CALLER = Principal("service", "open", "everybody on this machine", Role.ADMIN, "local", centres=None)

    def verify(self, credential: str | None) -> Principal | AuthError:  # noqa: ARG002 - the protocol's signature
        return self.CALLER
