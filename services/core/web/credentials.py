"""Where a request carries what shows who calls: bearer token, API key or session cookie."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from services.core.access.keys import PREFIX
from services.core.headers import API_KEY_HEADER, CSRF_HEADER, raw

SESSION_COOKIE: Final = "vigie_session"
CSRF_COOKIE: Final = "vigie_csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI gives them: names in lower case."""

_SESSION, _CSRF = SESSION_COOKIE.encode(), CSRF_COOKIE.encode()
_CSRF_HEADER, _API_KEY_HEADER = raw(CSRF_HEADER), raw(API_KEY_HEADER)
_MALFORMED = ""
"""Stands for a credential of a kind that is none of ours; every verifier refuses it as malformed."""


@dataclass(frozen=True, slots=True)
class Credential:
    """``text`` is None where the request carries none."""

    text: str | None
    by_cookie: bool = False


_NONE = Credential(None)


def credential_of(headers: Headers) -> Credential:
    """The credential of a request. An ``Authorization`` header wins over ``X-API-Key``, and that over the
    cookie: a wrong one is refused and never made up for by another."""
    key = cookie = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, text = value.partition(b" ")
            return Credential(text.strip().decode("latin-1") if scheme.lower() == b"bearer" else _MALFORMED)
        if name == _API_KEY_HEADER:
            key = value.decode("latin-1")
        elif name == b"cookie" and not cookie:
            cookie = _in_cookies(value, _SESSION)
    if key is not None:
        return Credential(key if key.startswith(PREFIX) else _MALFORMED)
    return Credential(cookie.decode("latin-1"), by_cookie=True) if cookie else _NONE


def session_of(headers: Headers) -> Credential:
    """The session cookie alone: for pages behind the edge, which use ``Authorization`` for themselves."""
    found = _cookie(headers, _SESSION)
    return Credential(found.decode("latin-1"), by_cookie=True) if found else _NONE


def from_this_site(headers: Headers) -> bool:
    """Whether a request with a cookie was sent by our own page: it repeats the readable cookie in a header,
    which another site cannot, and the browser does not say that it comes from elsewhere."""
    expected, shown = _cookie(headers, _CSRF), dict(headers).get(_CSRF_HEADER, b"")
    return from_own_origin(headers) and bool(expected) and hmac.compare_digest(expected or b"", shown)


def from_own_origin(headers: Headers) -> bool:
    """Whether the browser does not say that a request comes from another site; other clients say nothing."""
    given = dict(headers)
    fetched_from = given.get(b"sec-fetch-site")
    origin = given.get(b"origin")
    if fetched_from is not None and fetched_from != b"same-origin":
        return False
    if origin is None:
        return True
    try:
        return urlsplit(origin.decode("latin-1")).netloc == given.get(b"host", b"").decode("latin-1")
    except ValueError:  # no address at all
        return False


def _cookie(headers: Headers, wanted: bytes) -> bytes | None:
    for name, value in headers:
        if name == b"cookie":
            found = _in_cookies(value, wanted)
            if found:
                return found
    return None


def _in_cookies(header: bytes, wanted: bytes) -> bytes | None:
    for part in header.split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == wanted:
            return value
    return None
