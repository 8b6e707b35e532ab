"""Who may call a route stands on the route: ``Depends(requires(Role.OPERATOR))`` lets in whom the application's
verifier knows with that role or a higher one, and the OpenAPI page says ``x-required-role: operator``.

Routes for everybody and for the platform's own services say so with ``PUBLIC`` and ``SERVICE`` (``roles``).
``app.state.verifier`` is the ``Verifier``; ``show_roles(app)`` puts the roles into the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import iter_route_contexts
from fastapi.security.base import SecurityBase
from starlette.requests import Request
from starlette.types import Scope

from services.core.access.caller import Caller
from services.core.access.refusals import Reason, Refusal
from services.core.access.roles import Role
from services.core.access.verifier import Verifier
from services.core.headers import API_KEY_HEADER
from services.core.web.access_log import CALLER
from services.core.web.credentials import SAFE_METHODS, SESSION_COOKIE, credential_of, from_this_site
from services.core.web.faults import RefusedError, refused
from services.core.web.roles import REQUIRED_ROLE

USE_CASE = "x-use-case"
"""In the OpenAPI document: the route belongs to this use case, and keys may be for others."""
RETRY_SECONDS = 5

_MARK = "vigie-role"
_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "POST /auth/token gives one."},
    "key": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER, "description": "An API key of a centre."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "Set by the sign-in page."},
}


class RequiredRole(SecurityBase):
    """A dependency that gives the ``Caller``, and puts it into the request's scope."""

    def __init__(self, role: Role, use_case: str | None) -> None:
        self.role = role
        self.use_case = use_case
        self._enough = frozenset(other for other in Role if other.covers(role))
        # How FastAPI tells of a dependency in the OpenAPI document; ``show_roles`` makes our words of it.
        self.scheme_name = f"{_MARK}:{role}:{use_case or ''}"
        self.model = HTTPBearer()

    async def __call__(self, request: Request) -> Caller:
        return self.admit(request.scope)

    def admit(self, scope: Scope) -> Caller:
        """Who calls, if they may.

        Raises:
            RefusedError: 401 without a good credential, 403 with too low a role or for other use cases, 503
                where nobody can be verified yet.
        """
        caller = identify(scope)
        if caller.role not in self._enough:
            raise refused(
                403, "role", f"This needs the role {self.role}; yours is {caller.role}.", allowed=f"role {self.role}"
            )
        if self.use_case is not None and not caller.may_call(self.use_case):
            own = ", ".join(sorted(caller.use_cases or ())) or "none"
            raise refused(403, "use_case", "Your key or user is for other use cases.", allowed=own)
        return caller


@cache
def requires(role: Role, *, use_case: str | None = None) -> RequiredRole:
    """The dependency that lets in callers with this role or a higher one, who may call this use case."""
    return RequiredRole(role, use_case)


def identify(scope: Scope) -> Caller:
    """Who calls; ``scope["caller"]`` from here on.

    Raises:
        RefusedError: 401, 403 or 503.
    """
    verifier: Verifier = scope["app"].state.verifier
    credential = credential_of(scope["headers"])
    found = verifier.verify(credential.text)
    if isinstance(found, Refusal):
        raise answer_to(found)
    if credential.by_cookie and scope["method"] not in SAFE_METHODS and not from_this_site(scope["headers"]):
        raise answer_to(Refusal(Reason.CROSS_SITE))
    scope[CALLER] = found
    return found


def answer_to(refusal: Refusal) -> RefusedError:
    """What somebody reads whose credential is refused."""
    if refusal.reason is Reason.NO_LIST:
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return refused(503, refusal.reason, refusal.message, headers=headers)
    if refusal.reason is Reason.CROSS_SITE:
        return refused(403, refusal.reason, refusal.message)
    challenge = 'Bearer realm="vigie"'
    if refusal.reason is not Reason.MISSING:
        challenge += f', error="invalid_token", error_description="{refusal.message}"'
    return refused(401, refusal.reason, refusal.message, headers={"WWW-Authenticate": challenge})


def show_roles(app: FastAPI) -> None:
    """Make the OpenAPI document say which role each route requires."""
    original = app.openapi

    def with_roles() -> dict[str, Any]:
        if app.openapi_schema is None:
            _translate(original())
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


def _translate(document: dict[str, Any]) -> None:
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
            operation[USE_CASE] = named[0]
        operation["security"] = [{name: []} for name in _SCHEMES]
        schemes.update({name: dict(scheme) for name, scheme in _SCHEMES.items()})
