"""Authentication and authorization of requests: credential, principal, required role.

A route declares who may call it: ``Depends(requires(Role.OPERATOR))`` admits principals that the application's
authenticator (``app.state.authenticator``) verifies with that role or a higher one; OpenAPI then has
``x-required-role: operator``. Public routes and routes for the platform's own services declare ``PUBLIC`` and
``SERVICE``."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import Request
from starlette.types import Scope

from services.core.auth.principal import (
    API_KEY_PREFIX,
    AUTH_ERROR_KEY,
    Authenticator,
    AuthError,
    AuthErrorCode,
    Principal,
    Role,
)
from services.core.headers import API_KEY_HEADER, CSRF_HEADER, raw
from services.core.web.errors import HttpError, http_error
from services.core.web.server import PRINCIPAL_KEY

REQUIRED_ROLE: Final = "x-required-role"
PUBLIC: Mapping[str, str] = {REQUIRED_ROLE: "public"}
"""OpenAPI entry of public routes."""
SERVICE: Mapping[str, str] = {REQUIRED_ROLE: "service"}
"""OpenAPI entry of routes for the platform's own services, which authenticate with the service token."""


SESSION_COOKIE: Final = "vigie_session"
CSRF_COOKIE: Final = "vigie_csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Headers = Iterable[tuple[bytes, bytes]]
"""ASGI headers: lower-case names and values, as bytes."""

_SESSION, _CSRF = SESSION_COOKIE.encode(), CSRF_COOKIE.encode()
_CSRF_HEADER, _API_KEY_HEADER = raw(CSRF_HEADER), raw(API_KEY_HEADER)
_MALFORMED = ""
"""Stands for a credential of an unknown scheme; every authenticator refuses it as malformed."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A request's credential. ``text`` is None if the request has none."""

    text: str | None
    by_cookie: bool = False


_NO_CREDENTIAL = Credential(None)


def extract_credential(headers: Headers) -> Credential:
    """The credential of a request. ``Authorization`` takes precedence over ``X-API-Key``, and that over the cookie:
    an invalid one is refused without trying another."""
    key = cookie = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, text = value.partition(b" ")
            return Credential(text.strip().decode("latin-1") if scheme.lower() == b"bearer" else _MALFORMED)
        if name == _API_KEY_HEADER:
            key = value.decode("latin-1")
        elif name == b"cookie" and not cookie:
            cookie = _parse_cookie(value, _SESSION)
    if key is not None:
        return Credential(key if key.startswith(API_KEY_PREFIX) else _MALFORMED)
    return Credential(cookie.decode("latin-1"), by_cookie=True) if cookie else _NO_CREDENTIAL


def extract_session(headers: Headers) -> Credential:
    """The session cookie only: for pages behind the edge that use ``Authorization`` themselves."""
    found = _find_cookie(headers, _SESSION)
    return Credential(found.decode("latin-1"), by_cookie=True) if found else _NO_CREDENTIAL


def passes_csrf_check(headers: Headers) -> bool:
    """Whether a request with a session cookie comes from our own page: it repeats the readable cookie in a header
    (double submit), which another site cannot do, and the browser reports no cross-site origin. The word is that of the
    sign-in: one that somebody planted in the browser does not count."""
    expected, shown = _find_cookie(headers, _CSRF) or b"", dict(headers).get(_CSRF_HEADER, b"")
    sid = sign_in_of((_find_cookie(headers, _SESSION) or b"").decode("latin-1"))
    own = expected if sid is None else csrf_word(sid).encode()
    repeated = hmac.compare_digest(expected, shown) and hmac.compare_digest(own, shown)
    return is_same_origin(headers) and bool(expected) and repeated


def csrf_word(sid: str) -> str:
    """The CSRF word of a sign-in. It follows from the sign-in's id, which is in a cookie that no script reads."""
    return urlsafe_b64encode(sha256(f"csrf word of {sid}".encode()).digest()).rstrip(b"=").decode()


def sign_in_of(token: str) -> str | None:
    """The sign-in that an access token claims to belong to; not verified."""
    parts = token.split(".")
    try:
        body = parts[1] if len(parts) == 3 else ""
        claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return None
    sid = claims.get("sid") if isinstance(claims, dict) else None
    return sid if isinstance(sid, str) else None


def is_same_origin(headers: Headers) -> bool:
    """Whether the browser reports no cross-site origin; other clients report none."""
    given = dict(headers)
    fetched_from = given.get(b"sec-fetch-site")
    origin = given.get(b"origin")
    if fetched_from is not None and fetched_from != b"same-origin":
        return False
    if origin is None:
        return True
    try:
        return urlsplit(origin.decode("latin-1")).netloc == given.get(b"host", b"").decode("latin-1")
    except ValueError:  # not an IP address
        return False


def _find_cookie(headers: Headers, wanted: bytes) -> bytes | None:
    for name, value in headers:
        if name == b"cookie":
            found = _parse_cookie(value, wanted)
            if found:
                return found
    return None


def _parse_cookie(header: bytes, wanted: bytes) -> bytes | None:
    for part in header.split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == wanted:
            return value
    return None


USE_CASE_EXTENSION = "x-use-case"
"""OpenAPI extension: the route belongs to this use case; keys may be restricted to others."""
RETRY_SECONDS: Mapping[AuthErrorCode, int] = {AuthErrorCode.NO_LIST: 5, AuthErrorCode.UNCONFIRMED: 2}
"""When to try again, where the service does not know yet who calls."""

ROLE_SCHEME: Final = "vigie-role"


class RequiredRole(SecurityBase):
    """Dependency that authorizes the request and stores its ``Principal`` in the scope."""

    def __init__(self, role: Role, use_case: str | None, pending: bool = False) -> None:
        self.role = role
        self.use_case = use_case
        self._pending = pending
        self._enough = frozenset(other for other in Role if other.covers(role))
        # FastAPI's form of a security dependency in OpenAPI; ``api_docs.document_roles`` converts it.
        self.scheme_name = f"{ROLE_SCHEME}:{role}:{use_case or ''}"
        self.model = HTTPBearer()

    async def __call__(self, request: Request) -> Principal:
        return self.authorize(request.scope)

    def authorize(self, scope: Scope) -> Principal:
        """The request's principal, if it has the role and may use the use case.

        Raises:
            HttpError: 401 without a valid credential, 403 if the role is too low, the use case another one or something
                pending, 503 while no auth snapshot is available.
        """
        caller = authenticate(scope)
        if caller.pending and not self._pending:
            raise pending_step_error(caller)
        if caller.role not in self._enough:
            raise http_error(
                403, "role", f"This needs the role {self.role}; yours is {caller.role}.", allowed=f"role {self.role}"
            )
        if self.use_case is not None and not caller.can_call(self.use_case):
            own = ", ".join(sorted(caller.use_cases or ())) or "none"
            raise http_error(403, "use_case", "Your key or user is for other use cases.", allowed=own)
        return caller


@cache
def requires(role: Role, *, use_case: str | None = None, pending: bool = False) -> RequiredRole:
    """The dependency that admits principals with this role or a higher one that may call this use case.

    With ``pending`` also those who have to change their password or enrol a second factor before anything else."""
    return RequiredRole(role, use_case, pending)


def pending_step_error(caller: Principal) -> HttpError:
    """The HTTP error for users who have to change their first password, or to enrol a second factor."""
    if caller.pending == "password":
        reason = "Change your first password before you do anything else."
        return http_error(403, "password_change_required", reason, allowed="POST /auth/password")
    reason = "Enrol a second factor before you do anything else."
    return http_error(403, "second_factor_enrolment_required", reason, allowed="POST /auth/second-factor")


def authenticate(scope: Scope) -> Principal:
    """Authenticate the request; the principal is stored as ``scope["caller"]``.

    Raises:
        HttpError: 401, 403 or 503.
    """
    verifier: Authenticator = scope["app"].state.authenticator
    credential = extract_credential(scope["headers"])
    found = verifier.verify(credential.text)
    if isinstance(found, AuthError):
        scope[AUTH_ERROR_KEY] = found.reason
        raise auth_http_error(found)
    if credential.by_cookie and scope["method"] not in SAFE_METHODS and not passes_csrf_check(scope["headers"]):
        raise auth_http_error(AuthError(AuthErrorCode.CROSS_SITE))
    scope[PRINCIPAL_KEY] = found
    return found


def auth_http_error(refusal: AuthError) -> HttpError:
    """The HTTP error for a refused credential: 401, 403 or 503."""
    if refusal.reason in RETRY_SECONDS:
        headers = {"Retry-After": str(RETRY_SECONDS[refusal.reason])}
        return http_error(503, refusal.reason, refusal.message, headers=headers)
    if refusal.reason is AuthErrorCode.CROSS_SITE:
        return http_error(403, refusal.reason, refusal.message)
    challenge = 'Bearer realm="vigie"'
    if refusal.reason is not AuthErrorCode.MISSING:
        challenge += f', error="invalid_token", error_description="{refusal.message}"'
    return http_error(401, refusal.reason, refusal.message, headers={"WWW-Authenticate": challenge})
