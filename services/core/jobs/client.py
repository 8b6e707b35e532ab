"""HTTP client of the platform's other services, and the requests of the ``/jobs`` API.

No response is an ``UnavailableError``, an error response keeps its own message, anything else is an
``UnexpectedAnswerError``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from services.core.auth.service_credentials import service_headers
from services.core.errors import ConflictError, NotFoundError, UnavailableError, UnexpectedAnswerError, VigieError

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 10.0
MAX_WAIT_SECONDS = 25.0
"""Maximum long-poll duration of one request for a job, seconds."""
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "interrupted"})
RETRYABLE_STATES = FINAL_STATES - {"succeeded"}
"""States in which the service can rerun a job under the same id."""
UNAVAILABLE_STATUSES = frozenset({408, 425, 429, 502, 503, 504})
REFUSALS: Mapping[int, type[VigieError]] = {400: VigieError, 404: NotFoundError, 409: ConflictError, 422: VigieError}


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """An HTTP request to a service. ``patience``: seconds added to the timeout, for long polls."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    on_behalf_of: str = ""
    patience: float = 0.0


def submit_job(
    use_case: str, step: str, options: Mapping[str, Any], key: str, on_behalf_of: str = ""
) -> ServiceRequest:
    """Build the request that submits a job; ``key`` is the idempotency key."""
    body = {"use_case": use_case, "step": step, "options": dict(options), "idempotency_key": key}
    return ServiceRequest("POST", "/jobs", json=body, on_behalf_of=on_behalf_of)


def get_job(job_id: str, wait: float = 0.0) -> ServiceRequest:
    """Build the request for a job, answered when it has ended or after ``wait`` seconds."""
    wait = max(0.0, min(wait, MAX_WAIT_SECONDS))
    return ServiceRequest("GET", f"/jobs/{quote(job_id)}", params={"wait": wait} if wait else None, patience=wait)


def retry_job(job_id: str, on_behalf_of: str = "") -> ServiceRequest:
    """Build the request that reruns an ended job."""
    return ServiceRequest("POST", f"/jobs/{quote(job_id)}/retry", on_behalf_of=on_behalf_of)


def cancel_job(job_id: str, on_behalf_of: str = "") -> ServiceRequest:
    """Build the request that cancels a job."""
    return ServiceRequest("DELETE", f"/jobs/{quote(job_id)}", on_behalf_of=on_behalf_of)


class ServiceClient:
    """HTTP client of one service at ``url``, called ``name`` in errors.

    Args:
        token: the credential of the ``caller``, shown as the ``receiver`` knows it.
        on_failure: called for every missing or error response, for metrics.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        token: SecretStr | None = None,
        caller: str = "gateway",
        receiver: str = "",
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self._url, self._on_failure = name, url, on_failure
        self._token, self._caller, self._receiver = token, caller, receiver
        self._connection: dict[str, Any] = {
            "base_url": url.rstrip("/"),
            "trust_env": False,  # no proxy within the platform's network
            # Only for HTTPS: loading certificates blocks the event loop for a tenth of a second.
            "verify": url.startswith("https:"),
        }
        self._client: httpx.AsyncClient | None = None

    async def call(self, request: ServiceRequest) -> Any:
        """Send a request; return the JSON of a successful response.

        Raises:
            UnavailableError: no response, or the service reports that it is unavailable.
            VigieError: the service rejected it, with its own message.
            UnexpectedAnswerError: the response cannot be interpreted.
        """
        return self.read(await self.send(request))

    def call_sync(self, request: ServiceRequest) -> Any:
        """``call`` without an event loop."""
        with httpx.Client(**self._connection) as client:
            try:
                return self.read(self._available(client.request(**self._arguments(request))))
            except httpx.HTTPError as error:
                raise self._unavailable(type(error).__name__) from None

    async def send(self, request: ServiceRequest) -> httpx.Response:
        """Send a request; return the response, whatever its status.

        Raises:
            UnavailableError: no response, or the service reports that it is unavailable.
        """
        self._client = self._client or httpx.AsyncClient(**self._connection)
        try:
            return self._available(await self._client.request(**self._arguments(request)))
        except httpx.HTTPError as error:
            raise self._unavailable(type(error).__name__) from None

    def read(self, answer: httpx.Response) -> Any:
        """Return the JSON of a successful response; raises as ``call``."""
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.is_success and content is not None:
            return content
        self._on_failure()
        problem, expected, action = _error_parts(content)
        if problem and answer.status_code in REFUSALS:
            raise REFUSALS[answer.status_code](f"{self.name}: {problem}", expected=expected, action=action)
        raise UnexpectedAnswerError(
            f"{self.name} answered with status {answer.status_code}, which was not expected"
            + (f": {problem}" if problem else "."),
            status=answer.status_code,
            action=f"See the log of {self.name}.",
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _arguments(self, request: ServiceRequest) -> dict[str, Any]:
        token, caller, receiver = self._token, self._caller, self._receiver
        credential = (
            {} if token is None else service_headers(token.get_secret_value(), caller, receiver, request.on_behalf_of)
        )
        return {
            "method": request.method,
            "url": request.path,
            "json": request.json,
            "params": request.params,
            "headers": {**credential, **request.headers},
            "timeout": httpx.Timeout(ANSWER_SECONDS + request.patience, connect=CONNECT_SECONDS),
        }

    def _available(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code in UNAVAILABLE_STATUSES:
            raise self._unavailable(f"status {answer.status_code}")
        return answer

    def _unavailable(self, reason: str) -> UnavailableError:
        self._on_failure()
        return UnavailableError(
            f"{self.name} does not answer ({reason}).", action=f"See that {self.name} runs, then try again."
        )


def is_transient(error: VigieError) -> bool:
    """Whether a retry may succeed: the service is down, restarting or failed internally."""
    if isinstance(error, UnexpectedAnswerError):
        return not 400 <= error.status < 500
    return isinstance(error, UnavailableError)


def _error_parts(content: Any) -> tuple[str, str, str]:
    """Return problem, expected and action of an error body of this platform or of Airflow."""
    if not isinstance(content, dict):
        return "", "", ""
    errors = content.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        first = errors[0]
        field = f"{first['field']}: " if first.get("field") else ""
        return field + str(first.get("reason", "")), str(first.get("allowed", "")), str(first.get("action", ""))
    return str(content.get("detail") or "")[:500], "", ""
