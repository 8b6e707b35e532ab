"""Asking other services: what they do not answer becomes a 503, what cannot be understood a 502, what they refuse
is passed on in their own words."""

from __future__ import annotations

from typing import Any

import httpx

from services.core.errors import ConflictError, NotFoundError, UnavailableError, VigieError
from services.core.web.faults import refused
from services.gateway.counters import Counters

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 10.0


class Backend:
    """One service at ``url``, called ``name`` in errors."""

    def __init__(self, name: str, url: str, counters: Counters) -> None:
        self.name, self._url, self._counters = name, url.rstrip("/"), counters
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,  # inside the platform's own network there is no proxy
        )

    async def ask(self, method: str, path: str, *, patience: float = 0.0, **more: Any) -> httpx.Response:
        """
        Args:
            patience: seconds that the service may take beyond the usual, for long polls.

        Raises:
            UnavailableError: no answer, or the service says that it cannot now.
        """
        try:
            timeout = httpx.Timeout(ANSWER_SECONDS + patience, connect=CONNECT_SECONDS)
            answer = await self._client.request(method, self._url + path, timeout=timeout, **more)
        except httpx.HTTPError as error:
            raise self._away(type(error).__name__) from None
        if answer.status_code in {502, 503, 504}:
            raise self._away(f"status {answer.status_code}")
        return answer

    def content(self, answer: httpx.Response) -> Any:
        """The JSON of a successful answer.

        Raises:
            VigieError: the service refused, in its own words.
            RefusedError: 502, the answer is not one that we understand.
        """
        try:
            found = answer.json()
        except ValueError:
            found = None
        if answer.is_success and found is not None:
            return found
        self._counters.backend_failures.labels(self.name).inc()
        if answer.status_code in {400, 404, 409, 422} and (said := _said(found)):
            problem, expected, action = said
            kind = {404: NotFoundError, 409: ConflictError}.get(answer.status_code, VigieError)
            raise kind(f"{self.name}: {problem}", expected=expected, action=action)
        raise refused(
            502,
            "bad_gateway",
            f"{self.name} answered with status {answer.status_code}, which was not expected.",
            action=f"See the log of {self.name}.",
        )

    async def close(self) -> None:
        await self._client.aclose()

    def _away(self, reason: str) -> UnavailableError:
        self._counters.backend_failures.labels(self.name).inc()
        return UnavailableError(
            f"{self.name} does not answer ({reason}).",
            action=f"See that {self.name} runs, then try again.",
        )


def _said(found: Any) -> tuple[str, str, str] | None:
    """Problem, expected and action of a failure of ours or of Airflow's."""
    if not isinstance(found, dict):
        return None
    errors = found.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        first = errors[0]
        field = f"{first['field']}: " if first.get("field") else ""
        return field + str(first.get("reason", "")), str(first.get("allowed", "")), str(first.get("action", ""))
    detail = found.get("detail")
    return (str(detail)[:500], "", "") if detail else None
