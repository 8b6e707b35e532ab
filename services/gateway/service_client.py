"""HTTP clients of other services and of the stage services' jobs.

No answer is a 503, an unexpected one a 502, a refusal keeps its own words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from services.core.errors import ConflictError, NotFoundError, UnavailableError, VigieError
from services.core.headers import service_headers
from services.core.steps import JOBS
from services.core.web.errors import http_error
from services.gateway.metrics import GatewayMetrics
from services.gateway.settings import GatewaySettings

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 10.0


class ServiceClient:
    """One service at ``url``, called ``name`` in errors."""

    def __init__(self, name: str, url: str, counters: GatewayMetrics) -> None:
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
        if answer.status_code in {400, 404, 409, 422} and (said := _error_parts(found)):
            problem, expected, action = said
            kind = {404: NotFoundError, 409: ConflictError}.get(answer.status_code, VigieError)
            raise kind(f"{self.name}: {problem}", expected=expected, action=action)
        raise http_error(
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


def _error_parts(found: Any) -> tuple[str, str, str] | None:
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


FINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "interrupted"})
MAX_WAIT_SECONDS = 25.0


class JobClient:
    def __init__(self, settings: GatewaySettings, token: SecretStr, counters: GatewayMetrics) -> None:
        urls = {
            "ingestion": settings.ingestion_url,
            "preprocessing": settings.preprocessing_url,
            "training": settings.training_url,
        }
        if settings.drift_url is not None:
            urls["drift"] = settings.drift_url
        self._services = {name: ServiceClient(name, url, counters) for name, url in urls.items()}
        self._token = token

    async def submit(
        self, use_case: str, step: str, options: Mapping[str, Any], key: str, on_behalf_of: str
    ) -> dict[str, Any]:
        """The job that stands for ``key``; the same key again is the same job."""
        service = self._service(JOBS[step].service)
        body = {"use_case": use_case, "step": step, "options": dict(options), "idempotency_key": key}
        answer = await service.ask("POST", "/jobs", json=body, headers=self._headers(on_behalf_of))
        return dict(service.content(answer))

    async def job(self, step: str, job_id: str, wait: float = 0.0) -> dict[str, Any]:
        """The job, after at most ``wait`` seconds as soon as it has ended."""
        service = self._services[JOBS[step].service]
        params = {"wait": min(wait, MAX_WAIT_SECONDS)} if wait else None
        answer = await service.ask("GET", f"/jobs/{job_id}", patience=wait, params=params, headers=self._headers())
        return dict(service.content(answer))

    async def retry(self, step: str, job_id: str, on_behalf_of: str) -> dict[str, Any]:
        service = self._services[JOBS[step].service]
        answer = await service.ask("POST", f"/jobs/{job_id}/retry", headers=self._headers(on_behalf_of))
        return dict(service.content(answer))

    async def cancel(self, step: str, job_id: str, on_behalf_of: str) -> dict[str, Any]:
        service = self._services[JOBS[step].service]
        answer = await service.ask("DELETE", f"/jobs/{job_id}", headers=self._headers(on_behalf_of))
        return dict(service.content(answer))

    async def find(self, job_id: str) -> dict[str, Any]:
        """The job, whichever service has it.

        Raises:
            NotFoundError: none of them has it.
            UnavailableError: those that answer do not have it, and another does not answer.
        """

        async def at(service: ServiceClient) -> dict[str, Any]:
            return dict(service.content(await service.ask("GET", f"/jobs/{job_id}", headers=self._headers())))

        answers = await asyncio.gather(*(at(service) for service in self._services.values()), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, dict):
                return answer
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, NotFoundError):
                raise answer
        raise NotFoundError("There is no such job (any more).", action="GET /admin/jobs lists them.")

    async def tell(self, service: str, path: str) -> dict[str, Any]:
        """What a stage service says at ``path``.

        Raises:
            NotFoundError: it has nothing there.
            UnavailableError: it does not answer.
        """
        asked = self._service(service)
        return dict(asked.content(await asked.ask("GET", path, headers=self._headers())))

    async def page(self, service: str, path: str) -> bytes:
        """A page that a stage service has made.

        Raises:
            VigieError: as ``tell``.
        """
        asked = self._service(service)
        answer = await asked.ask("GET", path, headers=self._headers())
        if not answer.is_success:
            asked.content(answer)
        return answer.content

    async def order(self, service: str, path: str, on_behalf_of: str) -> dict[str, Any]:
        """Post to ``path`` without a body; what the service answers."""
        asked = self._service(service)
        return dict(asked.content(await asked.ask("POST", path, headers=self._headers(on_behalf_of))))

    async def newest(
        self, use_case: str | None, state: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """The newest jobs of all stage services, and why one of them says nothing."""
        params = {"limit": limit} | ({"use_case": use_case} if use_case else {}) | ({"state": state} if state else {})

        async def of(service: ServiceClient) -> list[dict[str, Any]]:
            return list(service.content(await service.ask("GET", "/jobs", params=params, headers=self._headers())))

        found = await asyncio.gather(*(of(service) for service in self._services.values()), return_exceptions=True)
        jobs, silent = [], {}
        for name, answer in zip(self._services, found, strict=True):
            if isinstance(answer, UnavailableError):
                silent[name] = answer.problem
            elif isinstance(answer, BaseException):
                raise answer
            else:
                jobs += answer
        return sorted(jobs, key=lambda job: str(job["created_at"]), reverse=True)[:limit], silent

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()

    def _service(self, name: str) -> ServiceClient:
        """
        Raises:
            UnavailableError: this platform has no such service.
        """
        if name not in self._services:
            raise UnavailableError(f"This platform has no {name} service.", action=f"Set VIGIE_{name.upper()}_URL.")
        return self._services[name]

    def _headers(self, on_behalf_of: str = "") -> dict[str, str]:
        return service_headers(self._token.get_secret_value(), "gateway", on_behalf_of)
