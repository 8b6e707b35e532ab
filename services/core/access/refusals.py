"""Why a credential is refused. The words go into answers and metrics, so they say nothing of the credential."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
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


_WORDS = {
    Reason.MISSING: "This needs a token (Authorization: Bearer) or an API key (X-API-Key).",
    Reason.MALFORMED: "This is no access token and no API key of this platform.",
    Reason.UNKNOWN: "This token or key is not known here, or no longer.",
    Reason.BAD_SIGNATURE: "The token's signature is not right.",
    Reason.EXPIRED: "The token or key has expired.",
    Reason.NOT_YET: "The token was issued in the future: the clocks differ.",
    Reason.REVOKED: "The token or key was revoked.",
    Reason.CROSS_SITE: "A change with a cookie needs the X-Vigie-CSRF header and has to come from this site.",
    Reason.NO_LIST: "The service has not yet learned from the gateway who may call; try again in a moment.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason

    @property
    def message(self) -> str:
        return _WORDS[self.reason]
