"""REST to the gateway and to prediction, with the access token of the person at the page.

What can go wrong is told by type, so that every page says it in the same plain words (``states``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import httpx

from services.dashboard.settings import DashboardSettings, settings

SECONDS = httpx.Timeout(15.0, connect=2.0)
LONG_SECONDS = httpx.Timeout(130.0, connect=2.0)
"""For batches and reports."""


class Service(StrEnum):
    GATEWAY = "gateway"
    PREDICTION = "prediction"


class Trouble(Exception):  # noqa: N818 - it is told to a person, not to a programmer
    """Something that a page says instead of its content."""


class AwayError(Trouble):
    """A service does not answer, or says that it cannot at the moment (503)."""

    def __init__(self, service: str, reason: str = "") -> None:
        super().__init__(f"{service} does not answer")
        self.service, self.reason = service, reason


class SessionOverError(Trouble):
    """The sign-in has ended."""


class ForbiddenError(Trouble):
    """The role is too low, or was changed."""


class NotThereError(Trouble):
    """404: the thing, or the route in this version of the platform, is not there."""


@dataclass
class RefusedError(Trouble):
    """Any other refusal: what was wrong, by field."""

    status: int
    faults: list[dict[str, Any]]

    def __str__(self) -> str:
        return "; ".join(fault.get("reason", "") for fault in self.faults)

    def of(self, field: str) -> str:
        """What was said about a field."""
        return " ".join(fault["reason"] for fault in self.faults if fault.get("field") == field)


@lru_cache(maxsize=1)
def _pool() -> httpx.Client:
    """One pool of connections for all sessions; it keeps no cookies and follows nothing."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
    client = httpx.Client(timeout=SECONDS, limits=limits, trust_env=False)
    client.cookies.jar.clear()
    return client


class Client:
    """``token`` gives a token that is good now; it raises ``SessionOverError`` where there is none."""

    def __init__(self, token: Callable[[], str], chosen: DashboardSettings | None = None) -> None:
        self._token = token
        self._settings = chosen or settings()

    def get(self, service: Service, path: str, **parameters: Any) -> Any:
        """The answer's JSON. Parameters that are None are left out."""
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
        timeout: httpx.Timeout = SECONDS,
    ) -> httpx.Response:
        """Any request; for what is no JSON, such as reports and CSV.

        Raises:
            Trouble: what a page says then.
        """
        given = {name: _text(value) for name, value in (parameters or {}).items() if value is not None}
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
    timeout: httpx.Timeout = SECONDS,
) -> httpx.Response:
    """
    Raises:
        Trouble: it did not go well.
    """
    content = {} if body is None else {"json": body}
    try:
        answer = _pool().request(
            method, address, params=dict(parameters or {}), headers=dict(headers), timeout=timeout, **content
        )
    except httpx.HTTPError as error:
        raise AwayError(service, type(error).__name__) from error
    if answer.is_success:
        return answer
    faults = _faults(answer)
    if answer.status_code == 401:
        raise SessionOverError
    if answer.status_code == 403:
        raise ForbiddenError(faults[0]["reason"])
    if answer.status_code == 404:
        raise NotThereError(faults[0]["reason"])
    if answer.status_code in {502, 503, 504}:
        raise AwayError(service, faults[0]["reason"])
    raise RefusedError(answer.status_code, faults)


def _faults(answer: httpx.Response) -> list[dict[str, Any]]:
    try:
        found = answer.json()["errors"]
    except (ValueError, KeyError, TypeError):
        found = []
    return found if isinstance(found, list) and found else [{"field": "", "reason": f"HTTP {answer.status_code}"}]


def _json(answer: httpx.Response) -> Any:
    return answer.json() if answer.content else None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
