"""The gateway looks at what cannot tell Prometheus about itself."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from services.core.database.connection import make_engine
from services.gateway.metrics import GatewayMetrics
from services.gateway.platform.dependency_probe import DependencyProbe
from services.gateway.runs.airflow_client import AirflowClient
from tests.gateways import gateway_settings
from tests.servers import running

ENDS = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)


def look(tmp_path: Path, engine: Engine, **settings: Any) -> CollectorRegistry:
    """One look; what it found."""
    return asyncio.run(_look(tmp_path, engine, settings))


async def _look(tmp_path: Path, engine: Engine, settings: Mapping[str, Any]) -> CollectorRegistry:
    registry = CollectorRegistry()
    chosen = gateway_settings(tmp_path, **settings)
    airflow = AirflowClient(chosen, GatewayMetrics(CollectorRegistry())) if chosen.airflow_url else None
    async with httpx.AsyncClient(timeout=2) as client:
        await DependencyProbe(chosen, engine, airflow, registry).look(client)
    if airflow is not None:
        await airflow.close()
    return registry


def up(registry: CollectorRegistry, dependency: str) -> float | None:
    return registry.get_sample_value("vigie_dependency_up", {"dependency": dependency})


def test_a_database_that_answers_is_up_and_tells_its_size(tmp_path: Path, engine: Engine) -> None:
    registry = look(tmp_path, engine)
    assert up(registry, "database") == 1
    assert (registry.get_sample_value("vigie_database_size_bytes") or 0) > 10_000


def test_postgresql_tells_its_connections(tmp_path: Path, postgres_engine: Engine) -> None:
    registry = look(tmp_path, postgres_engine)
    taken = registry.get_sample_value("vigie_database_connections") or 0
    assert 0 < taken < (registry.get_sample_value("vigie_database_connections_limit") or 0)


def test_a_database_that_is_away_is_down(tmp_path: Path) -> None:
    engine = make_engine("postgresql+psycopg://nobody:x@127.0.0.1:9/nothing")
    assert up(look(tmp_path, engine), "database") == 0


def test_what_is_not_there_has_no_series(tmp_path: Path, sqlite_engine: Engine) -> None:
    registry = look(tmp_path, sqlite_engine)
    assert up(registry, "registry") is None
    assert up(registry, "airflow_api") is None
    assert registry.get_sample_value("vigie_certificate_expiry_timestamp_seconds") is None


def test_a_registry_and_an_airflow_that_are_away_are_down(tmp_path: Path, sqlite_engine: Engine) -> None:
    away = "http://127.0.0.1:9"
    registry = look(tmp_path, sqlite_engine, registry_url=away, airflow_url=away)
    found = {name: up(registry, name) for name in ("registry", "airflow_api", "airflow_scheduler")}
    assert found == dict.fromkeys(found, 0)


def _airflow(scheduler: str) -> FastAPI:
    app = FastAPI()

    @app.get("/airflow/api/v2/monitor/health")
    def health() -> dict[str, Any]:
        parts = {name: {"status": "healthy"} for name in ("metadatabase", "triggerer", "dag_processor")}
        return {**parts, "scheduler": {"status": scheduler, "latest_scheduler_heartbeat": None}}

    @app.post("/airflow/auth/token")
    def token() -> JSONResponse:
        return JSONResponse({"access_token": "t"}, 201)

    @app.get("/airflow/api/v2/dags/~/dagRuns")
    def runs(state: str, end_date_gte: str | None = None) -> dict[str, Any]:
        assert (end_date_gte is not None) == (state in {"success", "failed"})
        return {"dag_runs": [], "total_entries": {"queued": 1, "running": 2, "success": 30, "failed": 4}[state]}

    return app


def test_airflows_parts_and_runs_are_told(tmp_path: Path, sqlite_engine: Engine) -> None:
    with running(_airflow("unhealthy")) as address:
        registry = look(tmp_path, sqlite_engine, airflow_url=f"{address}/airflow", airflow_password="x" * 12)
    assert (up(registry, "airflow_api"), up(registry, "airflow_triggerer"), up(registry, "airflow_scheduler")) == (
        1,
        1,
        0,
    )
    runs = {
        state: registry.get_sample_value("vigie_airflow_dag_runs", {"state": state})
        for state in ("queued", "running", "succeeded", "failed")
    }
    assert runs == {"queued": 1, "running": 2, "succeeded": 30, "failed": 4}


@contextmanager
def _tls_server(folder: Path) -> Iterator[int]:
    """Shows a certificate that ends at ``ENDS`` and that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vigie.test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ENDS - timedelta(days=3_650))
        .not_valid_after(ENDS)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_edges_certificate_tells_when_it_ends_whoever_signed_it(tmp_path: Path, sqlite_engine: Engine) -> None:
    with _tls_server(tmp_path) as port:
        registry = look(tmp_path, sqlite_engine, gateway_certificate_address=f"127.0.0.1:{port}")
    assert registry.get_sample_value("vigie_certificate_expiry_timestamp_seconds") == ENDS.timestamp()
