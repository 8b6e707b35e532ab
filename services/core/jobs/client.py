"""HTTP client of the platform's other services, and the requests of the ``/jobs`` API as values.

No answer is an ``UnavailableError``, a refusal keeps its own words, anything else is an ``UnexpectedAnswerError``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from services.core.errors import ConflictError, NotFoundError, UnavailableError, UnexpectedAnswerError, VigieError
from services.core.headers import service_headers

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 10.0
MAX_WAIT_SECONDS = 25.0
"""How long one request may wait for the end of a job."""
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "interrupted"})
RETRYABLE_STATES = FINAL_STATES - {"succeeded"}
"""States from which the service runs a job again under the same id."""
UNAVAILABLE_STATUSES = frozenset({408, 425, 429, 502, 503, 504})
REFUSALS: Mapping[int, type[VigieError]] = {400: VigieError, 404: NotFoundError, 409: ConflictError, 422: VigieError}


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """``patience``: seconds that the service may take beyond the usual, for long polls."""

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
    """Ask for the job that stands for ``key``; the same key again is the same job."""
    body = {"use_case": use_case, "step": step, "options": dict(options), "idempotency_key": key}
    return ServiceRequest("POST", "/jobs", json=body, on_behalf_of=on_behalf_of)


def get_job(job_id: str, wait: float = 0.0) -> ServiceRequest:
    """The job, as soon as it has ended or after ``wait`` seconds."""
    wait = max(0.0, min(wait, MAX_WAIT_SECONDS))
    return ServiceRequest("GET", f"/jobs/{quote(job_id)}", params={"wait": wait} if wait else None, patience=wait)


def retry_job(job_id: str, on_behalf_of: str = "") -> ServiceRequest:
    return ServiceRequest("POST", f"/jobs/{quote(job_id)}/retry", on_behalf_of=on_behalf_of)


def cancel_job(job_id: str, on_behalf_of: str = "") -> ServiceRequest:
    return ServiceRequest("DELETE", f"/jobs/{quote(job_id)}", on_behalf_of=on_behalf_of)


class ServiceClient:
    """One service at ``url``, called ``name`` in errors.

    Args:
        token: the platform's credential for calls between services, shown with the name of the ``caller``.
        on_failure: hears of every answer that was missing or refused, for metrics.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        token: SecretStr | None = None,
        caller: str = "gateway",
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self._url, self._token, self._caller, self._on_failure = name, url, token, caller, on_failure
        self._connection: dict[str, Any] = {
            "base_url": url.rstrip("/"),
            "trust_env": False,  # inside the platform's own network there is no proxy
            # Reading certificates takes a tenth of a second, in which an event loop does nothing else.
            "verify": url.startswith("https:"),
        }
        self._client: httpx.AsyncClient | None = None

    async def call(self, request: ServiceRequest) -> Any:
        """The JSON of a successful answer.

        Raises:
            UnavailableError: no answer, or the service says that it cannot now.
            VigieError: the service refused, in its own words.
            UnexpectedAnswerError: the answer is not one that we understand.
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
        """The answer, whatever its status.

        Raises:
            UnavailableError: no answer, or the service says that it cannot now.
        """
        self._client = self._client or httpx.AsyncClient(**self._connection)
        try:
            return self._available(await self._client.request(**self._arguments(request)))
        except httpx.HTTPError as error:
            raise self._unavailable(type(error).__name__) from None

    def read(self, answer: httpx.Response) -> Any:
        """The JSON of a successful answer; raises as ``call``."""
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
        token = None if self._token is None else self._token.get_secret_value()
        credential = {} if token is None else service_headers(token, self._caller, request.on_behalf_of)
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
    """Whether the same request may succeed later: the service is down, restarts or failed on it."""
    if isinstance(error, UnexpectedAnswerError):
        return not 400 <= error.status < 500
    return isinstance(error, UnavailableError)


def _error_parts(content: Any) -> tuple[str, str, str]:
    """Problem, expected and action of an error body of ours or of Airflow's."""
    if not isinstance(content, dict):
        return "", "", ""
    errors = content.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        first = errors[0]
        field = f"{first['field']}: " if first.get("field") else ""
        return field + str(first.get("reason", "")), str(first.get("allowed", "")), str(first.get("action", ""))
    return str(content.get("detail") or "")[:500], "", ""
