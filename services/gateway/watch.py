"""Looks at what cannot tell Prometheus about itself: the database, the registry, Airflow, the edge's certificate, and
the machine. The gateway knows them all already, so no exporter needs a place, rights or a password of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import structlog
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from services.core.errors import VigieError
from services.core.web.faults import RefusedError
from services.gateway.airflow import STATES, Airflow
from services.gateway.certificate import expiry
from services.gateway.host import Host
from services.gateway.settings import GatewaySettings

log = structlog.get_logger(__name__)

ROUND_SECONDS = 15.0
RUNS_SECONDS = 60.0
"""Counting Airflow's runs costs it a query each."""
ANSWER_SECONDS = 5.0
AIRFLOW_PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_POSTGRES = text(
    "SELECT pg_database_size(current_database()), (SELECT sum(numbackends) FROM pg_stat_database),"
    " current_setting('max_connections')::int"
)
_SQLITE = text("SELECT page_count * page_size, NULL, NULL FROM pragma_page_count(), pragma_page_size()")


class Watch:
    """``run`` looks every ``ROUND_SECONDS``; what does not answer is 0 in ``vigie_dependency_up``. What the settings
    do not name has no series."""

    def __init__(
        self, settings: GatewaySettings, engine: Engine, airflow: Airflow | None, registry: CollectorRegistry
    ) -> None:
        self._settings, self._engine, self._airflow = settings, engine, airflow
        registry.register(Host())
        self._up = Gauge(
            "vigie_dependency_up", "1 where a part that others need is healthy.", ["dependency"], registry=registry
        )
        self._size = Gauge("vigie_database_size_bytes", "Size of the platform's database.", registry=registry)
        self._connections = Gauge("vigie_database_connections", "Connections to the server.", registry=registry)
        self._limit = Gauge("vigie_database_connections_limit", "Connections that it permits.", registry=registry)
        self._dag_runs = Gauge(
            "vigie_airflow_dag_runs",
            "Airflow's runs by state: those of the last day where they have ended.",
            ["state"],
            registry=registry,
        )
        # Made when there is a certificate: without HTTPS there is nothing to tell, and 1970 would be a lie.
        self._certificate: Gauge | None = None
        self._registry = registry
        self._count_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        timeout = httpx.Timeout(ANSWER_SECONDS)
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            while True:
                await self.look(client)
                await asyncio.sleep(ROUND_SECONDS)

    async def look(self, client: httpx.AsyncClient) -> None:
        """One look at everything, at once."""
        await asyncio.gather(
            asyncio.to_thread(self._look_at_database),
            self._look_at_registry(client),
            self._look_at_airflow(client),
            asyncio.to_thread(self._look_at_certificate),
        )

    def _look_at_database(self) -> None:
        asked = _SQLITE if self._engine.dialect.name == "sqlite" else _POSTGRES
        try:
            with self._engine.connect() as connection:
                size, connections, limit = connection.execute(asked).one()
        except SQLAlchemyError:
            self._up.labels("database").set(0)
            return
        self._up.labels("database").set(1)
        self._size.set(size)
        if connections is not None:
            self._connections.set(connections)
            self._limit.set(limit)

    async def _look_at_registry(self, client: httpx.AsyncClient) -> None:
        if self._settings.registry_url is not None:
            self._up.labels("registry").set(await _answer(client, self._settings.registry_url, "/health") is not None)

    async def _look_at_airflow(self, client: httpx.AsyncClient) -> None:
        if self._settings.airflow_url is None or self._airflow is None:
            return
        answer = await _answer(client, self._settings.airflow_url, "/api/v2/monitor/health")
        self._up.labels("airflow_api").set(answer is not None)
        found = _parts(answer)
        for part in AIRFLOW_PARTS:
            self._up.labels(f"airflow_{part}").set(found.get(part) == "healthy")
        if found.get("metadatabase") != "healthy" or time.monotonic() < self._count_at:
            return
        self._count_at = time.monotonic() + RUNS_SECONDS
        since = datetime.now(UTC) - timedelta(days=1)
        try:
            for theirs, ours in STATES.items():
                self._dag_runs.labels(ours).set(await self._airflow.count(theirs, since))
        except (VigieError, RefusedError) as error:
            log.warning("Airflow's runs cannot be counted", reason=type(error).__name__)

    def _look_at_certificate(self) -> None:
        place = self._settings.gateway_certificate_address
        if place is None:
            return
        try:
            ends = expiry(place, self._settings.gateway_certificate_name or place.partition(":")[0], ANSWER_SECONDS)
        except (OSError, ValueError) as error:
            log.warning("the edge's certificate cannot be seen", reason=type(error).__name__)
            return
        if self._certificate is None:
            self._certificate = Gauge(
                "vigie_certificate_expiry_timestamp_seconds",
                "When the edge's certificate ends.",
                registry=self._registry,
            )
        self._certificate.set(ends.timestamp())


async def _answer(client: httpx.AsyncClient, url: str, path: str) -> httpx.Response | None:
    """A good answer, or None."""
    try:
        answer = await client.get(url.rstrip("/") + path)
    except httpx.HTTPError:
        return None
    return answer if answer.is_success else None


def _parts(answer: httpx.Response | None) -> dict[str, str]:
    """Each of Airflow's parts and how it says that it is."""
    try:
        found = answer.json() if answer is not None else {}
    except ValueError:
        return {}
    if not isinstance(found, Mapping):
        return {}
    return {name: str(part.get("status")) for name, part in found.items() if isinstance(part, Mapping)}
