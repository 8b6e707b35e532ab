"""How the platform's parts are, asked now and all at once, and where their pages are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from services.core.access.roles import Role
from services.gateway.platform_settings import PlatformSettings
from services.gateway.reading_schemas import PlatformPart
from services.gateway.settings import GatewaySettings

_BAD = frozenset({"unhealthy", "degraded", "failed", "error"})


@dataclass(frozen=True, slots=True)
class Part:
    """``health``: where it says how it is; empty for the one that is asked, this one. ``page``: the path of its page
    below its address; None where it has none for people. ``role``: who may see that page at the edge, and the part
    here."""

    name: str
    url: str | None
    health: str
    page: str | None
    role: Role
    edge: str = ""
    """The page's path at the edge, where it is another than at the part itself."""


def parts_of(settings: GatewaySettings, places: PlatformSettings) -> tuple[Part, ...]:
    ready = "/health/ready"
    return (
        Part("prediction", places.prediction_url, ready, "/v1/docs", Role.VIEWER, "/v1/docs"),
        Part("gateway", settings.gateway_url, "", "/auth/docs", Role.VIEWER, "/auth/docs"),
        Part("mlflow", settings.registry_url, "/health", "/", Role.VIEWER, "/mlflow/"),
        Part("airflow", settings.airflow_url, "/api/v2/monitor/health", "/", Role.OPERATOR, "/airflow/"),
        Part("grafana", places.grafana_url, "/api/health", "/", Role.OPERATOR, "/grafana/"),
        Part("prometheus", places.prometheus_url, "/-/healthy", "/", Role.OPERATOR, "/prometheus/"),
        Part("alertmanager", places.alertmanager_url, "/-/healthy", "/", Role.OPERATOR, "/alertmanager/"),
        Part("ingestion", settings.ingestion_url, ready, None, Role.OPERATOR),
        Part("preprocessing", settings.preprocessing_url, ready, None, Role.OPERATOR),
        Part("training", settings.training_url, ready, None, Role.OPERATOR),
        Part("drift", settings.drift_url, ready, None, Role.OPERATOR),
        Part("simulator", settings.simulator_url, ready, None, Role.OPERATOR),
    )


async def looked_at(parts: tuple[Part, ...], seconds: float) -> list[PlatformPart]:
    """Each part's state, in the order given; none waits for another."""
    async with httpx.AsyncClient(timeout=httpx.Timeout(seconds), trust_env=False) as client:
        return list(await asyncio.gather(*(_look(client, part) for part in parts)))


async def _look(client: httpx.AsyncClient, part: Part) -> PlatformPart:
    if not part.health:
        return PlatformPart(name=part.name, state="up", address=_address(part))
    if part.url is None:
        return PlatformPart(name=part.name, state="absent", address=None)
    address, started = _address(part), time.perf_counter()
    try:
        answer = await client.get(part.url.rstrip("/") + part.health)
    except httpx.HTTPError as error:
        return PlatformPart(name=part.name, state="down", address=address, reason=type(error).__name__)
    took = round((time.perf_counter() - started) * 1_000, 1)
    if not answer.is_success:
        reason = f"status {answer.status_code}"
        return PlatformPart(name=part.name, state="down", address=address, milliseconds=took, reason=reason)
    worse = _worse(answer)
    return PlatformPart(
        name=part.name,
        state="degraded" if worse else "up",
        address=address,
        milliseconds=took,
        reason=worse,
    )


def _worse(answer: httpx.Response) -> str:
    """What a part that answers says is not well, in its own word; empty where all is."""
    try:
        found = answer.json()
    except ValueError:
        return ""
    if not isinstance(found, Mapping):
        return ""
    if found.get("degraded"):
        return "degraded"
    for name, inner in found.items():
        if isinstance(inner, Mapping) and _bad(inner):
            return str(name)
    return str(found["status"]) if _bad(found) else ""


def _bad(found: Mapping[Any, Any]) -> bool:
    return str(found.get("status", "")).lower() in _BAD


def _address(part: Part) -> str | None:
    """On this machine's own address the part itself is what a browser reaches; anywhere else the edge serves it."""
    if part.page is None or part.url is None:
        return None
    if _loopback(urlsplit(part.url).hostname or ""):
        return part.url.rstrip("/") + part.page
    return part.edge


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
