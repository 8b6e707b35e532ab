"""Authentication and authorization of requests: credential, principal, required role.

The route declares who may call it: ``Depends(requires(Role.OPERATOR))`` admits principals that the application's
authenticator (``app.state.authenticator``) knows with that role or a higher one, and OpenAPI says
``x-required-role: operator``. Routes for everybody and for the platform's own services declare ``PUBLIC`` and
``SERVICE``."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import iter_route_contexts
from fastapi.security.base import SecurityBase
from starlette.requests import Request
from starlette.types import Scope

from services.core.auth.api_keys import API_KEY_PREFIX
from services.core.auth.principal import Authenticator, AuthError, AuthErrorCode, Principal, Role
from services.core.headers import API_KEY_HEADER, CSRF_HEADER, raw
from services.core.web.errors import HttpError, http_error
from services.core.web.server import PRINCIPAL_KEY

REQUIRED_ROLE: Final = "x-required-role"
PUBLIC: Mapping[str, str] = {REQUIRED_ROLE: "public"}
"""Anybody may call the route."""
SERVICE: Mapping[str, str] = {REQUIRED_ROLE: "service"}
"""The platform's own services may call the route, with their credential."""


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


_NO_CREDENTIAL = Credential(None)


def extract_credential(headers: Headers) -> Credential:
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
            cookie = _parse_cookie(value, _SESSION)
    if key is not None:
        return Credential(key if key.startswith(API_KEY_PREFIX) else _MALFORMED)
    return Credential(cookie.decode("latin-1"), by_cookie=True) if cookie else _NO_CREDENTIAL


def extract_session(headers: Headers) -> Credential:
    """The session cookie alone: for pages behind the edge, which use ``Authorization`` for themselves."""
    found = _find_cookie(headers, _SESSION)
    return Credential(found.decode("latin-1"), by_cookie=True) if found else _NO_CREDENTIAL


def passes_csrf_check(headers: Headers) -> bool:
    """Whether a request with a cookie was sent by our own page: it repeats the readable cookie in a header,
    which another site cannot, and the browser does not say that it comes from elsewhere."""
    expected, shown = _find_cookie(headers, _CSRF), dict(headers).get(_CSRF_HEADER, b"")
    return is_same_origin(headers) and bool(expected) and hmac.compare_digest(expected or b"", shown)


def is_same_origin(headers: Headers) -> bool:
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
"""In the OpenAPI document: the route belongs to this use case, and keys may be for others."""
RETRY_SECONDS = 5

_MARK = "vigie-role"
_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "POST /auth/token gives one."},
    "key": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER, "description": "An API key of a centre."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "Set by the sign-in page."},
}


class RequiredRole(SecurityBase):
    """A dependency that gives the ``Principal``, and puts it into the request's scope."""

    def __init__(self, role: Role, use_case: str | None) -> None:
        self.role = role
        self.use_case = use_case
        self._enough = frozenset(other for other in Role if other.covers(role))
        # How FastAPI tells of a dependency in the OpenAPI document; ``document_roles`` makes our words of it.
        self.scheme_name = f"{_MARK}:{role}:{use_case or ''}"
        self.model = HTTPBearer()

    async def __call__(self, request: Request) -> Principal:
        return self.authorize(request.scope)

    def authorize(self, scope: Scope) -> Principal:
        """Who calls, if they may.

        Raises:
            RefusedError: 401 without a good credential, 403 with too low a role or for other use cases, 503
                where nobody can be verified yet.
        """
        caller = authenticate(scope)
        if caller.role not in self._enough:
            raise http_error(
                403, "role", f"This needs the role {self.role}; yours is {caller.role}.", allowed=f"role {self.role}"
            )
        if self.use_case is not None and not caller.can_call(self.use_case):
            own = ", ".join(sorted(caller.use_cases or ())) or "none"
            raise http_error(403, "use_case", "Your key or user is for other use cases.", allowed=own)
        return caller


@cache
def requires(role: Role, *, use_case: str | None = None) -> RequiredRole:
    """The dependency that lets in callers with this role or a higher one, who may call this use case."""
    return RequiredRole(role, use_case)


def authenticate(scope: Scope) -> Principal:
    """Who calls; ``scope["caller"]`` from here on.

    Raises:
        RefusedError: 401, 403 or 503.
    """
    verifier: Authenticator = scope["app"].state.authenticator
    credential = extract_credential(scope["headers"])
    found = verifier.verify(credential.text)
    if isinstance(found, AuthError):
        raise auth_http_error(found)
    if credential.by_cookie and scope["method"] not in SAFE_METHODS and not passes_csrf_check(scope["headers"]):
        raise auth_http_error(AuthError(AuthErrorCode.CROSS_SITE))
    scope[PRINCIPAL_KEY] = found
    return found


def auth_http_error(refusal: AuthError) -> HttpError:
    """What somebody reads whose credential is refused."""
    if refusal.reason is AuthErrorCode.NO_LIST:
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return http_error(503, refusal.reason, refusal.message, headers=headers)
    if refusal.reason is AuthErrorCode.CROSS_SITE:
        return http_error(403, refusal.reason, refusal.message)
    challenge = 'Bearer realm="vigie"'
    if refusal.reason is not AuthErrorCode.MISSING:
        challenge += f', error="invalid_token", error_description="{refusal.message}"'
    return http_error(401, refusal.reason, refusal.message, headers={"WWW-Authenticate": challenge})


def document_roles(app: FastAPI) -> None:
    """Make the OpenAPI document say which role each route requires."""
    original = app.openapi

    def with_roles() -> dict[str, Any]:
        if app.openapi_schema is None:
            _document_security(original())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = with_roles  # type: ignore[method-assign]


def undeclared_routes(app: FastAPI) -> list[str]:
    """The routes that do not say who may call them, hidden ones included; the manual and the OpenAPI document
    are for everybody."""
    found = [f"{method} {path}" for method, path, operation in operations(app) if REQUIRED_ROLE not in operation]
    documented = {path for _, path, _ in operations(app)}
    folder = (app.openapi_url or "").rpartition("/")[0]
    manual = {app.openapi_url, app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url, f"{folder}/docs"}
    for route in iter_route_contexts(app.routes):
        path = route.path_format or route.path
        if path not in documented and path not in manual:
            found.append(f"hidden {path}")
    return found


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and OpenAPI entry of every documented operation."""
    for path, entries in app.openapi()["paths"].items():
        for method, operation in entries.items():
            yield method.upper(), path, operation


def _document_security(document: dict[str, Any]) -> None:
    """From FastAPI's security entries to ``x-required-role`` and the three ways to show who one is."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    for name in [name for name in schemes if name.startswith(_MARK)]:
        del schemes[name]
    order = list(Role)
    for operation in (entry for entries in document["paths"].values() for entry in entries.values()):
        marks = [name for item in operation.get("security", []) for name in item if name.startswith(_MARK)]
        if not marks:
            continue
        parts = [mark.split(":", 2) for mark in marks]
        operation[REQUIRED_ROLE] = str(max((Role(role) for _, role, _ in parts), key=order.index))
        named = [use_case for _, _, use_case in parts if use_case]
        if named:
            operation[USE_CASE_EXTENSION] = named[0]
        operation["security"] = [{name: []} for name in _SCHEMES]
        schemes.update({name: dict(scheme) for name, scheme in _SCHEMES.items()})
