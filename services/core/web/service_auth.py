"""Authenticates calls between the platform's services, and admits to each route those that it names."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from typing import Annotated

import structlog
from fastapi import Depends
from pydantic import SecretStr
from starlette.requests import Request

from services.core.auth.principal import Principal, Role
from services.core.auth.service_credentials import ServiceName, caller_of
from services.core.errors import VigieError
from services.core.headers import ON_BEHALF_OF_HEADER, SERVICE_HEADER
from services.core.web.errors import http_error
from services.core.web.server import PRINCIPAL_KEY

log = structlog.get_logger()

_VALID_NAME = re.compile(r"[\w .@:+-]{1,120}")


def require_service_token(token: SecretStr | None) -> SecretStr:
    """Return the token, which every service called by others needs.

    Raises:
        VigieError: the token is missing.
    """
    if token is None:
        raise VigieError(
            "There is no credential for calls between services.",
            expected="VIGIE_SERVICE_TOKEN with at least 32 characters",
            action="Run ./vigie init, or set the variable.",
        )
    return token


def admits(*services: ServiceName) -> Callable[[Request], Principal]:
    """Return the dependency of a route that these services may call; ``openapi_extra=dict(SERVICE)`` declares it.

    The principal's ``id`` is the service whose credential was shown; its ``name`` is the person on whose behalf it
    calls, if stated. With a token that all services share, the id is what the caller states and nobody is told apart.

    Raises (when called):
        HttpError: 401, no credential or a wrong one; 403, one of another service.
    """

    def admitted(request: Request) -> Principal:
        caller = _authenticate_service(request)
        if request.app.state.service_callers is not None and caller.id not in services:
            log.warning("service refused", service=caller.id, path=request.url.path)
            raise http_error(
                403, "service", f"The service {caller.id} may not ask for this.", allowed=", ".join(services)
            )
        request.scope[PRINCIPAL_KEY] = caller
        return caller

    return admitted


GatewayPrincipal = Annotated[Principal, Depends(admits("gateway"))]
"""``caller: GatewayPrincipal`` as the parameter of a route that the gateway alone calls."""


def _authenticate_service(request: Request) -> Principal:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    shown = given.strip().encode("latin-1", "replace")  # header values are Latin-1
    callers: Mapping[str, str] | None = request.app.state.service_callers
    if callers is not None:
        service = caller_of(shown, callers)
    else:
        token: SecretStr | None = request.app.state.service_token
        same = token is not None and hmac.compare_digest(shown, token.get_secret_value().encode())
        service = (_valid_name(request.headers.get(SERVICE_HEADER, "")) or "unnamed") if same else ""
    if not service or scheme.lower() != "bearer":
        raise http_error(
            401,
            "unauthorized",
            "This is for the platform's own services, and the request shows no credential of theirs.",
            allowed="Authorization: Bearer with the calling service's token",
            headers={"WWW-Authenticate": 'Bearer realm="vigie services"'},
        )
    person = _valid_name(request.headers.get(ON_BEHALF_OF_HEADER, ""))
    return Principal("service", service, person or service, Role.ADMIN, "", None)


def _valid_name(text: str) -> str:
    return text if _VALID_NAME.fullmatch(text) else ""
