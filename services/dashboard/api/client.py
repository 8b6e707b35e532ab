"""HTTP client of the gateway and of prediction with the user's access token, and of the gateway's session endpoints
with the service token. Errors are raised by type (``ApiError``), so that all pages show the same message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import httpx
import streamlit as st

from services.core.auth.service_credentials import service_headers
from services.dashboard.settings import DashboardSettings, settings

TIMEOUT = httpx.Timeout(15.0, connect=2.0)
LONG_TIMEOUT = httpx.Timeout(130.0, connect=2.0)
"""Timeout of batches and reports."""


class Service(StrEnum):
    """Services that the dashboard calls."""

    GATEWAY = "gateway"
    PREDICTION = "prediction"


class ApiError(Exception):
    """A failed request; the page shows a message instead of its content."""


class ServiceUnavailableError(ApiError):
    """The service does not answer, or answers 503."""

    def __init__(self, service: str, reason: str = "") -> None:
        super().__init__(f"{service} does not answer")
        self.service, self.reason = service, reason


class SessionExpiredError(ApiError):
    """The session has expired."""


class PermissionDeniedError(ApiError):
    """The role is too low, or was changed."""


class ResourceNotFoundError(ApiError):
    """404: the resource does not exist, or this version of the platform lacks the route."""


@dataclass
class RequestRejectedError(ApiError):
    """Any other rejected request, with errors by field."""

    status: int
    faults: list[dict[str, Any]]

    def __str__(self) -> str:
        return "; ".join(fault.get("reason", "") for fault in self.faults)

    def of(self, field: str) -> str:
        """The error message of a field."""
        return " ".join(fault["reason"] for fault in self.faults if fault.get("field") == field)


@lru_cache(maxsize=1)
def _pool() -> httpx.Client:
    """One connection pool for all sessions, without cookies and redirects."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
    client = httpx.Client(timeout=TIMEOUT, limits=limits, trust_env=False)
    client.cookies.jar.clear()
    return client


class Client:
    """Client of one user. ``token`` returns a valid token or raises ``SessionExpiredError``."""

    def __init__(self, token: Callable[[], str], chosen: DashboardSettings | None = None) -> None:
        self._token = token
        self._settings = chosen or settings()

    def get(self, service: Service, path: str, **parameters: Any) -> Any:
        """GET the response's JSON. Parameters that are None are omitted."""
        return self.ask("GET", service, path, parameters=parameters).json()

    def post(self, service: Service, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
        return _json(self.ask("POST", service, path, body=body, headers=headers))

    def put(self, service: Service, path: str, body: Any = None) -> Any:
        return _json(self.ask("PUT", service, path, body=body))

    def patch(self, service: Service, path: str, body: Any = None) -> Any:
        return _json(self.ask("PATCH", service, path, body=body))

    def delete(self, service: Service, path: str) -> Any:
        return _json(self.ask("DELETE", service, path))

    def ask(
        self,
        method: str,
        service: Service,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> httpx.Response:
        """Send any request; for responses other than JSON, such as reports and CSV.

        Raises:
            ApiError: by type of failure.
        """
        given = {name: _parameter(value) for name, value in (parameters or {}).items() if value is not None}
        sent = {"Authorization": f"Bearer {self._token()}", **(headers or {})}
        return request(
            method, service, self._base(service) + path, body=body, headers=sent, parameters=given, timeout=timeout
        )

    def _base(self, service: Service) -> str:
        return self._settings.gateway if service is Service.GATEWAY else self._settings.prediction_url


def request(
    method: str,
    service: str,
    address: str,
    *,
    body: Any,
    headers: Mapping[str, str],
    parameters: Mapping[str, str] | None = None,
    timeout: httpx.Timeout = TIMEOUT,
) -> httpx.Response:
    """Send a request.

    Raises:
        ApiError: by type of failure.
    """
    content = {} if body is None else {"json": body}
    try:
        answer = _pool().request(
            method, address, params=dict(parameters or {}), headers=dict(headers), timeout=timeout, **content
        )
    except httpx.HTTPError as error:
        raise ServiceUnavailableError(service, type(error).__name__) from error
    if answer.is_success:
        return answer
    faults = _error_details(answer)
    if answer.status_code == 401:
        raise SessionExpiredError
    if answer.status_code == 403:
        raise PermissionDeniedError(faults[0]["reason"])
    if answer.status_code == 404:
        raise ResourceNotFoundError(faults[0]["reason"])
    if answer.status_code in {502, 503, 504}:
        raise ServiceUnavailableError(service, faults[0]["reason"])
    raise RequestRejectedError(answer.status_code, faults)


def _error_details(answer: httpx.Response) -> list[dict[str, Any]]:
    try:
        found = answer.json()["errors"]
    except (ValueError, KeyError, TypeError):
        found = []
    return found if isinstance(found, list) and found else [{"field": "", "reason": f"HTTP {answer.status_code}"}]


def _json(answer: httpx.Response) -> Any:
    return answer.json() if answer.content else None


def _parameter(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_SESSION_TIMEOUT = httpx.Timeout(8.0, connect=1.5)


def entry_code(username: str, password: str, code: str | None = None) -> str:
    """Check the password; returns the one-time code that the browser exchanges for its cookie.

    Raises:
        SessionExpiredError: wrong user name or password.
        PermissionDeniedError: the code of the second factor is missing.
        RequestRejectedError: 429, too many attempts; its reason says how long to wait.
        ServiceUnavailableError: the gateway does not answer.
    """
    body = {"username": username, "password": password, "address": _client_address()}
    if code:
        body["code"] = code
    entry: str = _post_internal("/internal/entries", body)["code"]
    return entry


def identity_provider() -> bool:
    """Whether people sign in at an identity provider.

    Raises:
        ServiceUnavailableError: the gateway does not answer.
    """
    answer = request(
        "GET", "gateway", settings().gateway + "/auth/methods", body=None, headers={}, timeout=_SESSION_TIMEOUT
    )
    return bool(answer.json()["oidc"])


def fresh_token(token: str) -> dict[str, Any]:
    """Renew an access token.

    Raises:
        SessionExpiredError: the session has expired.
        ServiceUnavailableError: the gateway does not answer.
    """
    found: dict[str, Any] = _post_internal("/internal/session-tokens", {"token": token})
    return found


def end_session(token: str) -> None:
    """End a session.

    Raises:
        ServiceUnavailableError: the gateway does not answer.
    """
    _post_internal("/internal/session-ends", {"token": token, "address": _client_address()})


def _post_internal(path: str, body: dict[str, str]) -> Any:
    chosen = settings()
    assert chosen.service_token is not None, "the dashboard does not start without one"
    headers = service_headers(chosen.service_token.get_secret_value(), "dashboard", "gateway")
    answer = request("POST", "gateway", chosen.gateway + path, body=body, headers=headers, timeout=_SESSION_TIMEOUT)
    return answer.json() if answer.content else None


def _client_address() -> str:
    """The browser's address, from the edge's header."""
    forwarded = st.context.headers.get("X-Forwarded-For", "")
    return (forwarded.rpartition(",")[2].strip() or st.context.ip_address or "")[:80]
