"""Probes the platform's components concurrently and lists the URLs of their pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from services.core.auth.principal import Role
from services.core.settings import Settings
from services.gateway.platform.schemas import ComponentStatus
from services.gateway.settings import GatewaySettings


class PlatformSettings(Settings):
    """Base URLs of the components. A component without one is reported as absent."""

    prediction_url: str = "http://127.0.0.1:8500"
    grafana_url: str | None = None
    prometheus_url: str | None = None
    alertmanager_url: str | None = None
    platform_health_seconds: float = Field(default=2.0, gt=0, le=10)
    """Timeout of a component's health check, seconds; after it the component is down."""


_BAD_STATES = frozenset({"unhealthy", "degraded", "failed", "error"})


@dataclass(frozen=True, slots=True)
class Component:
    """A component of the platform.

    ``health``: path of its health check; empty for the gateway itself. ``page``: path of its web page; None if it has
    none. ``role``: required to open that page at the edge and to see the component here."""

    name: str
    url: str | None
    health: str
    page: str | None
    role: Role
    edge: str = ""
    """Path of the page at the edge, if it differs from the component's own."""


def platform_components(settings: GatewaySettings, places: PlatformSettings) -> tuple[Component, ...]:
    """List the platform's components with their configured URLs."""
    ready = "/health/ready"
    return (
        Component("prediction", places.prediction_url, ready, "/v1/docs", Role.VIEWER, "/v1/docs"),
        Component("gateway", settings.gateway_url, "", "/auth/docs", Role.VIEWER, "/auth/docs"),
        Component("mlflow", settings.registry_url, "/health", "/", Role.VIEWER, "/mlflow/"),
        Component("airflow", settings.airflow_url, "/api/v2/monitor/health", "/", Role.OPERATOR, "/airflow/"),
        Component("grafana", places.grafana_url, "/api/health", "/", Role.OPERATOR, "/grafana/"),
        Component("prometheus", places.prometheus_url, "/-/healthy", "/", Role.OPERATOR, "/prometheus/"),
        Component("alertmanager", places.alertmanager_url, "/-/healthy", "/", Role.OPERATOR, "/alertmanager/"),
        Component("ingestion", settings.ingestion_url, ready, None, Role.OPERATOR),
        Component("preprocessing", settings.preprocessing_url, ready, None, Role.OPERATOR),
        Component("training", settings.training_url, ready, None, Role.OPERATOR),
        Component("drift", settings.drift_url, ready, None, Role.OPERATOR),
        Component("simulator", settings.simulator_url, ready, None, Role.OPERATOR),
    )


async def probe_all(parts: tuple[Component, ...], seconds: float) -> list[ComponentStatus]:
    """Probe all components concurrently; results in the given order."""
    async with httpx.AsyncClient(timeout=httpx.Timeout(seconds), trust_env=False) as client:
        return list(await asyncio.gather(*(_probe(client, part) for part in parts)))


async def _probe(client: httpx.AsyncClient, part: Component) -> ComponentStatus:
    if not part.health:
        return ComponentStatus(name=part.name, state="up", address=_page_url(part))
    if part.url is None:
        return ComponentStatus(name=part.name, state="absent", address=None)
    address, started = _page_url(part), time.perf_counter()
    try:
        answer = await client.get(part.url.rstrip("/") + part.health)
    except httpx.HTTPError as error:
        return ComponentStatus(name=part.name, state="down", address=address, reason=type(error).__name__)
    took = round((time.perf_counter() - started) * 1_000, 1)
    if not answer.is_success:
        reason = f"status {answer.status_code}"
        return ComponentStatus(name=part.name, state="down", address=address, milliseconds=took, reason=reason)
    worse = _degraded_reason(answer)
    return ComponentStatus(
        name=part.name,
        state="degraded" if worse else "up",
        address=address,
        milliseconds=took,
        reason=worse,
    )


def _degraded_reason(answer: httpx.Response) -> str:
    """Return why a responding component is degraded, as it reports it; empty if healthy."""
    try:
        found = answer.json()
    except ValueError:
        return ""
    if not isinstance(found, Mapping):
        return ""
    if found.get("degraded"):
        return "degraded"
    for name, inner in found.items():
        if isinstance(inner, Mapping) and _is_bad(inner):
            return str(name)
    return str(found["status"]) if _is_bad(found) else ""


def _is_bad(found: Mapping[Any, Any]) -> bool:
    return str(found.get("status", "")).lower() in _BAD_STATES


def _page_url(part: Component) -> str | None:
    """Return the page's URL: the component's own on loopback, else its path at the edge."""
    if part.page is None or part.url is None:
        return None
    if _is_loopback(urlsplit(part.url).hostname or ""):
        return part.url.rstrip("/") + part.page
    return part.edge


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
