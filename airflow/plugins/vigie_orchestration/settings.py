"""Settings of Airflow's own processes, from the environment (prefix ``VIGIE_AIRFLOW_``)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.errors import VigieError
from services.core.jobs.client import ServiceClient
from services.core.settings import Settings
from services.core.settings import settings as shared

BASE_PATH = "/airflow"
"""Where the edge serves Airflow; its own server serves below the same path."""


class AirflowSettings(BaseSettings):
    """Read when a process of Airflow starts. Nothing here has a secret default."""

    model_config = SettingsConfigDict(
        env_prefix="VIGIE_AIRFLOW_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    home: Path | None = None
    """Folder of Airflow's own files: the password file, task logs and, without a database, SQLite."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    url: str | None = None
    """Address of the API server as Airflow's other processes reach it, base path included; without one
    ``http://127.0.0.1:PORT/airflow``."""
    database_url: str | None = None
    """SQLAlchemy address, ``postgresql://...``; without one a SQLite file in ``home``."""
    user: str = "admin"
    password: SecretStr | None = Field(default=None, min_length=12)
    operator_password: SecretStr | None = Field(default=None, min_length=12)
    """Of a second account, ``operator``, that triggers and approves and cannot change settings."""
    jwt_secret: SecretStr | None = Field(default=None, min_length=64)
    """Signs Airflow's tokens; the other keys are derived from it."""
    parallelism: int = Field(default=4, ge=1, le=64)
    """Tasks that run at once. Waiting tasks hold none of these places, so few are enough."""

    @property
    def folder(self) -> Path:
        return (self.home or shared().home.root / "airflow").expanduser().resolve()

    @property
    def api_url(self) -> str:
        return (self.url or f"http://127.0.0.1:{self.port}{BASE_PATH}").rstrip("/")


class OrchestrationSettings(BaseSettings):
    """Read by DAGs, tasks and triggers."""

    model_config = SettingsConfigDict(env_prefix="VIGIE_", env_file=".env", env_ignore_empty=True, extra="ignore")

    ingestion_url: str = "http://127.0.0.1:8601"
    preprocessing_url: str = "http://127.0.0.1:8602"
    training_url: str = "http://127.0.0.1:8603"
    drift_url: str = "http://127.0.0.1:8604"
    public_url: str | None = None
    """Address of the edge as people's browsers reach it, the start of every link; without one
    ``http://127.0.0.1:8000``."""
    registry_pages_url: str | None = None
    """Address of MLflow's pages for the same browsers; without one ``public_url`` and ``/mlflow``."""
    require_approval: bool = False
    """Whether a promotion waits for a person where the run does not say."""
    airflow_retries: int = Field(default=2, ge=0, le=10)
    airflow_retry_seconds: float = Field(default=60.0, ge=1)
    """Pause before a failed task is tried again; it doubles with each try."""
    airflow_night_begins: int = Field(default=0, ge=0, le=23)
    """Hour, in UTC, at which the nightly runs begin: where calls are few."""
    airflow_poll_seconds: float = Field(default=5.0, gt=0, le=60)
    airflow_outage_seconds: float = Field(default=900.0, gt=0)
    """How long a waiting task bears a stage service that does not answer."""

    @property
    def edge(self) -> str:
        return (self.public_url or "http://127.0.0.1:8000").rstrip("/")

    @property
    def mlflow_pages(self) -> str:
        return (self.registry_pages_url or f"{self.edge}/mlflow").rstrip("/")

    def service_url(self, service: str) -> str:
        """
        Raises:
            KeyError: no such stage service.
        """
        return {
            "ingestion": self.ingestion_url,
            "preprocessing": self.preprocessing_url,
            "training": self.training_url,
            "drift": self.drift_url,
        }[service].rstrip("/")


def stage_client(service: str) -> ServiceClient:
    """The client of a stage service. Address and credential come from the environment of the process that calls,
    never from a task's arguments: those are stored and shown.

    Raises:
        VigieError: there is no credential.
    """
    token = Settings().service_token
    if token is None:
        raise VigieError(
            "There is no credential for the stage services.",
            expected="VIGIE_SERVICE_TOKEN, the same for all services",
            action="Run ./vigie init, or set the variable for Airflow's scheduler and triggerer.",
        )
    url = OrchestrationSettings().service_url(service)
    return ServiceClient(f"the {service} service", url, token=token, caller="airflow")
