"""HTTP clients of the stage services, addressed by step or service name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from services.core.errors import NotFoundError, UnavailableError
from services.core.jobs.client import ServiceClient, ServiceRequest, get_job
from services.core.steps import JOBS
from services.gateway.metrics import GatewayMetrics
from services.gateway.settings import GatewaySettings


def create_client(name: str, url: str, counters: GatewayMetrics, token: SecretStr | None = None) -> ServiceClient:
    """Create a client whose failures are counted in the gateway's metrics."""
    return ServiceClient(name, url, token=token, receiver=name, on_failure=counters.backend_failures.labels(name).inc)


class JobClient:
    """Client of all stage services; routes each request by step or service name."""

    def __init__(self, settings: GatewaySettings, token: SecretStr, counters: GatewayMetrics) -> None:
        urls = {
            "ingestion": settings.ingestion_url,
            "preprocessing": settings.preprocessing_url,
            "training": settings.training_url,
            "drift": settings.drift_url,
        }
        self._services = {name: create_client(name, url, counters, token) for name, url in urls.items() if url}

    async def call(self, step: str, request: ServiceRequest) -> dict[str, Any]:
        """Send a request to the service of the step; raises as ``ServiceClient.call``."""
        return dict(await self._service(JOBS[step].service).call(request))

    async def find(self, job_id: str) -> dict[str, Any]:
        """Find a job in any stage service.

        Raises:
            NotFoundError: no service has it.
            UnavailableError: no responding service has it, and another one does not answer.
        """
        answers = await self._call_all(get_job(job_id))
        for answer in answers:
            if isinstance(answer, dict):
                return answer
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, NotFoundError):
                raise answer
        raise NotFoundError("There is no such job (any more).", action="GET /admin/jobs lists them.")

    async def newest(
        self, use_case: str | None, state: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Return the newest jobs of all stage services, and the error of each service that does not answer."""
        params = {"limit": limit} | ({"use_case": use_case} if use_case else {}) | ({"state": state} if state else {})
        answers = await self._call_all(ServiceRequest("GET", "/jobs", params=params))
        newest, silent = [], {}
        for name, answer in zip(self._services, answers, strict=True):
            if isinstance(answer, UnavailableError):
                silent[name] = answer.problem
            elif isinstance(answer, BaseException):
                raise answer
            else:
                newest += answer
        return sorted(newest, key=lambda job: str(job["created_at"]), reverse=True)[:limit], silent

    async def get(
        self, service: str, path: str, *, params: Mapping[str, Any] | None = None, patience: float = 0.0
    ) -> dict[str, Any]:
        """Get the JSON at ``path`` of a stage service; ``patience``: seconds added to the timeout.

        Raises:
            NotFoundError: the service has no such resource.
            UnavailableError: it does not answer, or is not configured.
        """
        return dict(await self._service(service).call(ServiceRequest("GET", path, params=params, patience=patience)))

    async def page(self, service: str, path: str) -> bytes:
        """Get an HTML page of a stage service; raises as ``get``."""
        client = self._service(service)
        answer = await client.send(ServiceRequest("GET", path))
        if not answer.is_success:
            client.read(answer)
        return answer.content

    async def post(self, service: str, path: str, on_behalf_of: str) -> dict[str, Any]:
        """Post to ``path`` without a body; return the response's JSON."""
        return dict(await self._service(service).call(ServiceRequest("POST", path, on_behalf_of=on_behalf_of)))

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()

    async def _call_all(self, request: ServiceRequest) -> list[Any]:
        return await asyncio.gather(
            *(service.call(request) for service in self._services.values()), return_exceptions=True
        )

    def _service(self, name: str) -> ServiceClient:
        if name not in self._services:
            raise UnavailableError(f"This platform has no {name} service.", action=f"Set VIGIE_{name.upper()}_URL.")
        return self._services[name]
