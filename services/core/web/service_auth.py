"""Authenticates calls between the platform's services with a shared token."""

from __future__ import annotations

import hmac
import re
from typing import Annotated

from fastapi import Depends
from pydantic import SecretStr
from starlette.requests import Request

from services.core.auth.principal import Principal, Role
from services.core.errors import VigieError
from services.core.headers import ON_BEHALF_OF_HEADER, SERVICE_HEADER
from services.core.web.errors import http_error
from services.core.web.server import PRINCIPAL_KEY

_VALID_NAME = re.compile(r"[\w .@:+-]{1,120}")


def require_service_token(token: SecretStr | None) -> SecretStr:
    """Return the token, which every service called by others needs.

    Raises:
        VigieError: the token is missing.
    """
    if token is None:
        raise VigieError(
            "There is no credential for calls between services.",
            expected="VIGIE_SERVICE_TOKEN with at least 32 characters, the same for all services",
            action="Run ./vigie init, or set the variable.",
        )
    return token


def authenticate_service(request: Request) -> Principal:
    """Dependency: authenticates a request by the token passed to ``create_service_app``.

    The principal's ``id`` is the service; its ``name`` is the person on whose behalf it calls, if stated.

    Raises:
        HttpError: 401, no token or a wrong one.
    """
    token: SecretStr | None = request.app.state.service_token
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Header values are Latin-1; the comparison takes constant time.
    expected = token.get_secret_value().encode() if token is not None else b""
    same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), expected)
    if token is None or not same or scheme.lower() != "bearer":
        raise http_error(
            401,
            "unauthorized",
            "This is for the platform's own services, and the request shows no credential of theirs.",
            allowed="Authorization: Bearer with the platform's service token",
            headers={"WWW-Authenticate": 'Bearer realm="vigie services"'},
        )
    service = _valid_name(request.headers.get(SERVICE_HEADER, "")) or "unnamed"
    person = _valid_name(request.headers.get(ON_BEHALF_OF_HEADER, ""))
    caller = Principal("service", service, person or service, Role.ADMIN, "", None)
    request.scope[PRINCIPAL_KEY] = caller
    return caller


ServicePrincipal = Annotated[Principal, Depends(authenticate_service)]
"""``caller: ServicePrincipal`` as a route's parameter; declare the route with ``openapi_extra=dict(SERVICE)``."""


def _valid_name(text: str) -> str:
    return text if _VALID_NAME.fullmatch(text) else ""
