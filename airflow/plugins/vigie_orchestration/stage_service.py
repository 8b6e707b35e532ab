"""The jobs of one stage service over REST (``services/core/jobs``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from services.core.errors import UnavailableError, VigieError
from services.core.headers import service_headers
from services.core.settings import Settings
from vigie_orchestration.settings import OrchestrationSettings

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "interrupted"})
RETRYABLE_STATES = frozenset({"failed", "cancelled", "interrupted"})
"""States from which the service runs a job again under the same id."""
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that a service in the middle of a restart gives; anything else from 400 on is meant."""
_TIMEOUT = httpx.Timeout(10.0, read=45.0)

Job = dict[str, Any]


class JobRejectedError(VigieError):
    """The service understood the request and said no: asking again changes nothing."""


class StageService:
    """Address and credential come from the environment of the process that calls, never from a task's arguments:
    those are stored and shown.

    Raises:
        VigieError: there is no credential.
    """

    def __init__(self, name: str, *, on_behalf_of: str = "") -> None:
        self.name = name
        self.url = OrchestrationSettings().service_url(name)
        token = Settings().service_token
        if token is None:
            raise VigieError(
                "There is no credential for the stage services.",
                expected="VIGIE_SERVICE_TOKEN, the same for all services",
                action="Run ./vigie init, or set the variable for Airflow's scheduler and triggerer.",
            )
        self._connection: dict[str, Any] = {
            "base_url": self.url,
            "headers": service_headers(token.get_secret_value(), "airflow", on_behalf_of),
            "timeout": _TIMEOUT,
            "trust_env": False,
            # Reading certificates takes a tenth of a second, in which a triggerer does nothing else.
            "verify": self.url.startswith("https:"),
        }

    def submit(self, use_case: str, step: str, options: Mapping[str, Any], key: str) -> Job:
        """The job with this idempotency key: a new one, or the one that was made before.

        Raises:
            UnavailableError: the service does not answer.
            RefusedError: it said no.
        """
        body = {"use_case": use_case, "step": step, "options": dict(options), "idempotency_key": key}
        return self._send("POST", "/jobs", json=body)

    def retry(self, job_id: str) -> Job:
        return self._send("POST", f"/jobs/{quote(job_id)}/retry")

    def cancel(self, job_id: str) -> None:
        self._send("DELETE", f"/jobs/{quote(job_id)}")

    async def wait(self, job_id: str, seconds: float) -> Job:
        """The job, as soon as it is in a final state or after ``seconds`` (at most 30)."""
        return await self._send_async("GET", f"/jobs/{quote(job_id)}", params={"wait": max(0, min(30, int(seconds)))})

    async def cancel_async(self, job_id: str) -> None:
        await self._send_async("DELETE", f"/jobs/{quote(job_id)}")

    def _send(self, method: str, path: str, **request: Any) -> Job:
        try:
            with httpx.Client(**self._connection) as client:
                return self._read(client.request(method, path, **request))
        except httpx.TransportError as error:
            raise self._away(error) from error

    async def _send_async(self, method: str, path: str, **request: Any) -> Job:
        try:
            async with httpx.AsyncClient(**self._connection) as client:
                return self._read(await client.request(method, path, **request))
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"The {self.name} service does not answer at {self.url}: {type(error).__name__}: {error}",
            action=f"See whether the service {self.name} is running and what its log says.",
        )

    def _read(self, answer: httpx.Response) -> Job:
        if answer.status_code in TRANSIENT_STATUSES:
            raise UnavailableError(f"The {self.name} service answered {answer.status_code} at {self.url}.")
        if answer.status_code >= 400:
            problem, expected, action = _error_sentences(answer)
            raise JobRejectedError(
                f"The {self.name} service refused this ({answer.status_code}): {problem}",
                expected=expected,
                action=action,
            )
        try:
            job = answer.json()
        except ValueError as error:
            raise UnavailableError(f"What answers at {self.url} is not the {self.name} service.") from error
        return job if isinstance(job, dict) else {}


def _error_sentences(answer: httpx.Response) -> tuple[str, str, str]:
    try:
        faults = answer.json()["errors"]
        first = faults[0]
        problem = " ".join(f"{fault.get('field', '')} {fault['reason']}".strip() for fault in faults)
        return problem, str(first.get("allowed") or ""), str(first.get("action") or "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return answer.reason_phrase, "", ""
