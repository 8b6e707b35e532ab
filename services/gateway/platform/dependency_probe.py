"""Prometheus metrics of dependencies without an exporter: database, registry, Airflow, TLS certificate and host."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import structlog
from cryptography import x509
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from services.core.errors import VigieError
from services.core.web.errors import HttpError
from services.gateway.runs.airflow_client import RUN_STATES, AirflowClient
from services.gateway.settings import GatewaySettings

PROC_FOLDER = Path("/proc")
CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""Column order of ``/proc/stat`` (proc(5))."""


class HostCollector(Collector):
    """Exports CPU, memory and load of the host from ``/proc``."""

    def __init__(self, proc: Path = PROC_FOLDER) -> None:
        self._proc = proc

    def collect(self) -> Iterator[Metric]:
        memory = self._memory()
        yield GaugeMetricFamily("vigie_host_memory_bytes", "The machine's memory.", memory["MemTotal"])
        yield GaugeMetricFamily(
            "vigie_host_memory_available_bytes", "What programs may still have of it.", memory["MemAvailable"]
        )
        load = float((self._proc / "loadavg").read_text().split()[0])
        yield GaugeMetricFamily("vigie_host_load1", "Tasks that run or wait, averaged over a minute.", load)
        yield GaugeMetricFamily("vigie_host_processors", "Processors that this process may use.", os.cpu_count() or 1)
        times = CounterMetricFamily("vigie_host_cpu_seconds", "Time of all processors by mode.", labels=("mode",))
        ticks = os.sysconf("SC_CLK_TCK")
        for mode, value in zip(
            CPU_MODES, (self._proc / "stat").read_text().split("\n", 1)[0].split()[1:], strict=False
        ):
            times.add_metric((mode,), int(value) / ticks)
        yield times

    def _memory(self) -> dict[str, int]:
        """Return memory figures in bytes; the kernel reports kilobytes."""
        lines = (self._proc / "meminfo").read_text().splitlines()
        return {name: int(rest.split()[0]) * 1_024 for name, rest in (line.split(":", 1) for line in lines)}


def certificate_expiry(place: str, name: str, seconds: float) -> datetime:
    """Return the expiry of the certificate that the server at ``place`` (``host:port``) presents for ``name``.

    The certificate is not validated: private authorities are allowed, and an expired one has to be reported too.

    Raises:
        OSError: no answer, or no TLS.
        ValueError: ``place`` has no port, or the certificate cannot be parsed.
    """
    host, _, port = place.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=seconds) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    if shown is None:
        raise ValueError("no certificate was shown")
    return x509.load_der_x509_certificate(shown).not_valid_after_utc


log = structlog.get_logger(__name__)

PROBE_SECONDS = 15.0
RUN_COUNT_SECONDS = 60.0
"""Interval of counting Airflow's runs, which costs Airflow one query per state."""
PROBE_TIMEOUT_SECONDS = 5.0
AIRFLOW_COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_POSTGRES = text(
    "SELECT pg_database_size(current_database()), (SELECT sum(numbackends) FROM pg_stat_database),"
    " current_setting('max_connections')::int"
)
_SQLITE = text("SELECT page_count * page_size, NULL, NULL FROM pragma_page_count(), pragma_page_size()")


class DependencyProbe:
    """Probes dependencies every ``PROBE_SECONDS``; unreachable ones are 0 in ``vigie_dependency_up``.

    Dependencies that are not configured have no series."""

    def __init__(
        self, settings: GatewaySettings, engine: Engine, airflow: AirflowClient | None, registry: CollectorRegistry
    ) -> None:
        self._settings, self._engine, self._airflow = settings, engine, airflow
        registry.register(HostCollector())
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
        # Created with the first certificate: without HTTPS the gauge would export 0, an expiry in 1970.
        self._certificate: Gauge | None = None
        self._registry = registry
        self._count_at = 0.0

    async def run(self) -> None:
        """Run until cancelled."""
        timeout = httpx.Timeout(PROBE_TIMEOUT_SECONDS)
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            while True:
                await self.look(client)
                await asyncio.sleep(PROBE_SECONDS)

    async def look(self, client: httpx.AsyncClient) -> None:
        """Probe all dependencies once, concurrently."""
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
            self._up.labels("registry").set(
                await _get_or_none(client, self._settings.registry_url, "/health") is not None
            )

    async def _look_at_airflow(self, client: httpx.AsyncClient) -> None:
        if self._settings.airflow_url is None or self._airflow is None:
            return
        answer = await _get_or_none(client, self._settings.airflow_url, "/api/v2/monitor/health")
        self._up.labels("airflow_api").set(answer is not None)
        found = _component_states(answer)
        for part in AIRFLOW_COMPONENTS:
            self._up.labels(f"airflow_{part}").set(found.get(part) == "healthy")
        if found.get("metadatabase") != "healthy" or time.monotonic() < self._count_at:
            return
        self._count_at = time.monotonic() + RUN_COUNT_SECONDS
        since = datetime.now(UTC) - timedelta(days=1)
        try:
            for theirs, ours in RUN_STATES.items():
                self._dag_runs.labels(ours).set(await self._airflow.count(theirs, since))
        except (VigieError, HttpError) as error:
            log.warning("Airflow's runs cannot be counted", reason=type(error).__name__)

    def _look_at_certificate(self) -> None:
        place = self._settings.gateway_certificate_address
        if place is None:
            return
        try:
            ends = certificate_expiry(
                place, self._settings.gateway_certificate_name or place.partition(":")[0], PROBE_TIMEOUT_SECONDS
            )
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


async def _get_or_none(client: httpx.AsyncClient, url: str, path: str) -> httpx.Response | None:
    """Return a successful response, or None."""
    try:
        answer = await client.get(url.rstrip("/") + path)
    except httpx.HTTPError:
        return None
    return answer if answer.is_success else None


def _component_states(answer: httpx.Response | None) -> dict[str, str]:
    """Return Airflow's components with their reported status."""
    try:
        found = answer.json() if answer is not None else {}
    except ValueError:
        return {}
    if not isinstance(found, Mapping):
        return {}
    return {name: str(part.get("status")) for name, part in found.items() if isinstance(part, Mapping)}
