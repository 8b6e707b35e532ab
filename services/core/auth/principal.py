"""Principals and their roles, the reasons for which a credential is rejected, and the interface of an authenticator."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol


class Role(StrEnum):
    VIEWER = "viewer"
    """reads"""
    DISPATCHER = "dispatcher"
    """predicts and sends outcomes"""
    OPERATOR = "operator"
    """ingests, retrains and approves"""
    ADMIN = "admin"
    """manages users and keys, rolls back, changes settings"""

    def covers(self, other: Role) -> bool:
        """Whether this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """``id`` is a user's, key's or service's; ``name`` is what people read.

    ``centre`` is where the caller belongs and what its calls are marked with. ``centres`` are those
    whose calls it may see; None stands for all. ``check_use_cases`` are those that it may call; None
    stands for all.
    """

    kind: Literal["user", "key", "service"]
    id: str
    name: str
    role: Role
    centre: str
    centres: frozenset[str] | None = frozenset()
    use_cases: frozenset[str] | None = None

    def can_see_centre(self, centre: str) -> bool:
        return self.centres is None or centre == self.centre or centre in self.centres

    def can_call(self, use_case: str) -> bool:
        return self.use_cases is None or use_case in self.use_cases


class AuthErrorCode(StrEnum):
    MISSING = "no_credential"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    """a key, or a token's signing key, that is not on the list (any more)"""
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    """issued in the future: clocks differ"""
    REVOKED = "revoked"
    CROSS_SITE = "cross_site"
    """a cookie that came with another site's request"""
    NO_LIST = "no_list"
    """nothing can be verified: the gateway has not been reached since the first start"""


_MESSAGES = {
    AuthErrorCode.MISSING: "This needs a token (Authorization: Bearer) or an API key (X-API-Key).",
    AuthErrorCode.MALFORMED: "This is no access token and no API key of this platform.",
    AuthErrorCode.UNKNOWN: "This token or key is not known here, or no longer.",
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
    def verify(self, credential: str | None) -> Principal | AuthError:
        """Who shows ``credential``, the text of a token or an API key; None where none was shown. Called on
        the event loop for every request: it waits for nothing."""


class AllowAll:
    """Everybody may do everything: for the demo and for measuring, on this machine alone."""

    CALLER = Principal("service", "open", "everybody on this machine", Role.ADMIN, "local", centres=None)

    def verify(self, credential: str | None) -> Principal | AuthError:  # noqa: ARG002 - the protocol's signature
        return self.CALLER
