"""Specifications of the platform's local services: command, port, health check, environment and start order."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.cli.local_platform.secrets import Secrets
from services.cli.local_platform.supervisor import ServiceSpec
from services.core.errors import VigieError
from services.core.settings import CHECKOUT, Settings

HOST = "127.0.0.1"
AIRFLOW = "airflow"
OPTIONAL_PARTS = (AIRFLOW,)
"""Valid values of ``--without``."""


class Ports(BaseSettings):
    """Default ports, replaced if they are in use."""

    model_config = SettingsConfigDict(env_prefix="VIGIE_", env_file=".env", env_ignore_empty=True, extra="ignore")

    registry_port: int = Field(default=5500, ge=1, le=65535)
    prediction_port: int = Field(default=8500, ge=1, le=65535)
    gateway_port: int = Field(default=8600, ge=1, le=65535)
    ingestion_port: int = Field(default=8601, ge=1, le=65535)
    preprocessing_port: int = Field(default=8602, ge=1, le=65535)
    training_port: int = Field(default=8603, ge=1, le=65535)
    drift_port: int = Field(default=8604, ge=1, le=65535)
    simulator_port: int = Field(default=8605, ge=1, le=65535)
    dashboard_port: int = Field(default=8501, ge=1, le=65535)
    airflow_port: int = Field(default=8080, ge=1, le=65535)

    def wanted(self) -> dict[str, int]:
        """Port by service."""
        return {name.removesuffix("_port"): getattr(self, name) for name in type(self).model_fields}


@dataclass(frozen=True, slots=True)
class SpecContext:
    """Context from which the specifications are built."""

    settings: Settings
    secrets: Secrets
    ports: Mapping[str, int]
    airflow: bool
    shared: dict[str, str] = field(default_factory=dict)

    def url(self, part: str) -> str:
        return f"http://{HOST}:{self.ports[part]}"

    def registry_credentials(self, user: str) -> dict[str, str]:
        """Each client of the registry gets one user: read-only clients cannot write."""
        password = self.secrets.values[f"VIGIE_REGISTRY_{user.upper()}_PASSWORD"]
        return {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}


def service_specs(settings: Settings, secrets: Secrets, *, airflow: bool = True) -> list[ServiceSpec]:
    """Specifications of this home's services. A port in use is replaced by a free one, so that two homes can run in
    parallel."""
    platform = SpecContext(settings, secrets, _free_ports(Ports().wanted()), airflow)
    platform.shared.update(_shared_environment(platform))
    parts = [_migrate(platform), _registry(platform), _prediction(platform), _gateway(platform)]
    parts += [
        _stage(platform, "ingestion", platform.registry_credentials("reader")),
        _stage(platform, "preprocessing", {}),
        _stage(platform, "training", platform.registry_credentials("writer")),
        _stage(platform, "drift", platform.registry_credentials("reader")),
        _simulator(platform),
        _dashboard(platform),
    ]
    return [*parts, *(_airflow(platform) if airflow else [])]


def _shared_environment(platform: SpecContext) -> dict[str, str]:
    """Environment of every service; complete, so that a ``.env`` for Compose has no effect."""
    urls = {
        f"VIGIE_{part.upper()}_URL": platform.url(part)
        for part in (
            "registry",
            "prediction",
            "gateway",
            "ingestion",
            "preprocessing",
            "training",
            "drift",
            "simulator",
        )
    }
    from services.core.database.connection import database_address  # noqa: PLC0415 - SQLAlchemy takes half a second

    settings = platform.settings
    return {
        **urls,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([str(CHECKOUT), *_python_path()])),
        "VIGIE_HOME": str(settings.home.root),
        "VIGIE_DATABASE_URL": database_address(settings.database_url, settings.home),
    }


def _python_path() -> list[str]:
    """Search path of use cases that are not installed."""
    return [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _python_module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _listen_environment(platform: SpecContext, part: str) -> dict[str, str]:
    return {f"VIGIE_{part.upper()}_HOST": HOST, f"VIGIE_{part.upper()}_PORT": str(platform.ports[part])}


def _migrate(platform: SpecContext) -> ServiceSpec:
    return ServiceSpec(
        "migrate", _python_module("services.core.database.migrate"), environment=platform.shared, once=True
    )


def _registry(platform: SpecContext) -> ServiceSpec:
    known = [
        f"VIGIE_REGISTRY_{name}" for name in ("ADMIN_PASSWORD", "WRITER_PASSWORD", "READER_PASSWORD", "SECRET_KEY")
    ]
    return ServiceSpec(
        "registry",
        _python_module("services.registry"),
        platform.ports["registry"],
        f"{platform.url('registry')}/api/2.0/mlflow/experiments/search?max_results=1",
        {
            **platform.shared,
            **_listen_environment(platform, "registry"),
            **platform.secrets.only(*known),
        },
        health_user="reader",
        health_password="VIGIE_REGISTRY_READER_PASSWORD",  # noqa: S106 - name of a variable
    )


def _prediction(platform: SpecContext) -> ServiceSpec:
    return ServiceSpec(
        "prediction",
        _python_module("services.prediction"),
        platform.ports["prediction"],
        f"{platform.url('prediction')}/health/ready",
        {
            **platform.shared,
            **_listen_environment(platform, "prediction"),
            **platform.secrets.only("VIGIE_SERVICE_TOKEN", "VIGIE_CALLS_PSEUDONYM_KEY"),
            **platform.registry_credentials("reader"),
        },
        page="/v1/docs",
    )


def _gateway(platform: SpecContext) -> ServiceSpec:
    known = ["VIGIE_SERVICE_TOKEN", "VIGIE_GATEWAY_ADMIN_PASSWORD", "VIGIE_GATEWAY_KEY_ENCRYPTION"]
    orchestration = {}
    if platform.airflow:
        known.append("VIGIE_AIRFLOW_PASSWORD")
        orchestration = {"VIGIE_AIRFLOW_URL": f"{platform.url('airflow')}/airflow", "VIGIE_AIRFLOW_USER": "admin"}
    return ServiceSpec(
        "gateway",
        _python_module("services.gateway"),
        platform.ports["gateway"],
        f"{platform.url('gateway')}/health/ready",
        {
            **platform.shared,
            **_listen_environment(platform, "gateway"),
            **platform.secrets.only(*known),
            **platform.registry_credentials("reader"),
            **orchestration,
            "VIGIE_DASHBOARD_URL": platform.url("dashboard"),
        },
        page="/auth/docs",
        after=("migrate",),
    )


def _stage(platform: SpecContext, part: str, registry_user: Mapping[str, str]) -> ServiceSpec:
    return ServiceSpec(
        part,
        _python_module(f"services.{part}"),
        platform.ports[part],
        f"{platform.url(part)}/health/ready",
        {
            **platform.shared,
            **_listen_environment(platform, part),
            **platform.secrets.only("VIGIE_SERVICE_TOKEN"),
            **registry_user,
        },
        page="/docs",
        after=("migrate",),
    )


def _simulator(platform: SpecContext) -> ServiceSpec:
    return ServiceSpec(
        "simulator",
        _python_module("services.simulator"),
        platform.ports["simulator"],
        f"{platform.url('simulator')}/health/ready",
        {
            **platform.shared,
            **_listen_environment(platform, "simulator"),
            **platform.secrets.only("VIGIE_SERVICE_TOKEN"),
        },
        page="/docs",
    )


def _dashboard(platform: SpecContext) -> ServiceSpec:
    """Without an edge, browsers reach the gateway on its own port."""
    return ServiceSpec(
        "dashboard",
        _python_module("services.dashboard"),
        platform.ports["dashboard"],
        f"{platform.url('dashboard')}/_stcore/health",
        {
            **platform.shared,
            **_listen_environment(platform, "dashboard"),
            **platform.secrets.only("VIGIE_SERVICE_TOKEN"),
            "VIGIE_DASHBOARD_SIGN_IN_URL": platform.url("gateway"),
        },
        page="/",
    )


def _airflow(platform: SpecContext) -> list[ServiceSpec]:
    """Airflow: database first, scheduler last, because tasks fail while the API server is unavailable."""
    start = CHECKOUT / "airflow" / "start.py"
    environment = {
        **platform.shared,
        **_listen_environment(platform, "airflow"),
        "VIGIE_AIRFLOW_URL": f"{platform.url('airflow')}/airflow",
        "VIGIE_PUBLIC_URL": platform.url("airflow"),  # no edge
        "VIGIE_REGISTRY_PAGES_URL": platform.url("registry"),
        **platform.secrets.only("VIGIE_SERVICE_TOKEN", "VIGIE_AIRFLOW_JWT_SECRET", "VIGIE_AIRFLOW_PASSWORD"),
    }

    def component(name: str, *after: str) -> ServiceSpec:
        return ServiceSpec(
            f"airflow-{name}",
            [sys.executable, str(start), name],
            environment=environment,
            check=[sys.executable, str(start), "--check", name],
            after=after,
        )

    return [
        ServiceSpec("airflow-init", [sys.executable, str(start), "init"], environment=environment, once=True),
        ServiceSpec(
            "airflow-api",
            [sys.executable, str(start), "api-server"],
            platform.ports["airflow"],
            f"{platform.url('airflow')}/airflow/api/v2/monitor/health",
            environment,
            page="/airflow",
            after=("airflow-init",),
        ),
        component("dag-processor", "airflow-init"),
        component("triggerer", "airflow-init"),
        component("scheduler", "airflow-api"),
    ]


def _free_ports(wanted: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part, port in wanted.items():
        while (free := free_port(port)) in found.values():
            port = 0  # noqa: PLW2901 - use another port
        found[part] = free
    return found


def free_port(wanted: int) -> int:
    """The requested port, or a free one if it is in use."""
    for candidate in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise VigieError(f"No free port on {HOST}.", action="End other programs or set VIGIE_REGISTRY_PORT.")
