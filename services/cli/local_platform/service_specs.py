"""Specifications of the platform's local services: command, port, health check, environment and start order."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.cli.local_platform.ports import HOST, Ports
from services.cli.local_platform.secrets import Secrets
from services.core.auth.service_credentials import ServiceName
from services.core.settings import CHECKOUT, Settings

AIRFLOW = "airflow"
OPTIONAL_PARTS = (AIRFLOW,)
"""Valid values of ``--without``."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A supervised process, or with ``once`` one that ends. ``health`` is the URL that answers 200 when it is ready
    (``health_password`` names the secret that it requires); if it does not listen, ``check`` is a command that exits
    with 0. It is started when the services in ``after`` are ready or have ended."""

    name: str
    command: Sequence[str]
    port: int = 0
    health: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    check: Sequence[str] = ()
    health_user: str = ""
    health_password: str = ""
    page: str = ""
    """Path of its user interface."""
    after: Sequence[str] = ()
    once: bool = False
    grace: int = 15
    """Seconds between SIGTERM and killing the process group."""

    def kept(self) -> dict[str, Any]:
        """Attributes to store for later commands, without secrets."""
        return {
            "port": self.port,
            "health": self.health,
            "check": list(self.check),
            "health_user": self.health_user,
            "health_password": self.health_password,
            "page": self.page,
            "after": list(self.after),
            "once": self.once,
        }


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


def service_specs(
    settings: Settings, secrets: Secrets, *, airflow: bool = True, ports: Mapping[str, int] | None = None
) -> list[ServiceSpec]:
    """Specifications of this home's services, on the ports of the settings unless others are given."""
    platform = SpecContext(settings, secrets, ports or Ports().wanted(), airflow)
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
            **platform.secrets.of_service("prediction"),
            **platform.secrets.only("VIGIE_CALLS_PSEUDONYM_KEY"),
            **platform.registry_credentials("reader"),
        },
        page="/v1/docs",
    )


def _gateway(platform: SpecContext) -> ServiceSpec:
    known = ["VIGIE_GATEWAY_ADMIN_PASSWORD", "VIGIE_GATEWAY_KEY_ENCRYPTION"]
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
            **platform.secrets.of_service("gateway"),
            **platform.secrets.only(*known),
            **platform.registry_credentials("reader"),
            **orchestration,
            "VIGIE_DASHBOARD_URL": platform.url("dashboard"),
        },
        page="/auth/docs",
        after=("migrate",),
    )


def _stage(platform: SpecContext, part: ServiceName, registry_user: Mapping[str, str]) -> ServiceSpec:
    return ServiceSpec(
        part,
        _python_module(f"services.{part}"),
        platform.ports[part],
        f"{platform.url(part)}/health/ready",
        {
            **platform.shared,
            **_listen_environment(platform, part),
            **platform.secrets.of_service(part),
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
            **platform.secrets.of_service("simulator"),
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
            **platform.secrets.of_service("dashboard"),
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
        **platform.secrets.of_service("airflow"),
        **platform.secrets.only("VIGIE_AIRFLOW_JWT_SECRET", "VIGIE_AIRFLOW_PASSWORD"),
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
