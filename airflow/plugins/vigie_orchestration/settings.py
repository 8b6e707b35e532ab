"""Settings of Airflow's processes and DAGs, from the environment (prefixes ``VIGIE_AIRFLOW_`` and ``VIGIE_``)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.errors import VigieError
from services.core.jobs.client import ServiceClient
from services.core.settings import Settings
from services.core.settings import settings as shared

BASE_PATH = "/airflow"
"""Path of Airflow at the edge and on its own server."""


class AirflowSettings(BaseSettings):
    """Settings read when an Airflow process starts. Secrets have no defaults."""

    model_config = SettingsConfigDict(
        env_prefix="VIGIE_AIRFLOW_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    home: Path | None = None
    """Folder of Airflow's own files: password file, task logs and, by default, the SQLite database."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    url: str | None = None
    """API server's base URL for Airflow's other processes, path included; default:
    ``http://127.0.0.1:PORT/airflow``."""
    database_url: str | None = None
    """SQLAlchemy URL, ``postgresql://...``; default: a SQLite file in ``home``."""
    user: str = "admin"
    password: SecretStr | None = Field(default=None, min_length=12)
    operator_password: SecretStr | None = Field(default=None, min_length=12)
    """Password of a second account, ``operator``, which can trigger and approve but not change settings."""
    jwt_secret: SecretStr | None = Field(default=None, min_length=64)
    """Signs Airflow's tokens; the other keys are derived from it."""
    parallelism: int = Field(default=4, ge=1, le=64)
    """Maximum concurrent tasks. Deferred tasks need no slot, so a few are enough."""

    @property
    def folder(self) -> Path:
        return (self.home or shared().home.root / "airflow").expanduser().resolve()

    @property
    def api_url(self) -> str:
        return (self.url or f"http://127.0.0.1:{self.port}{BASE_PATH}").rstrip("/")


class OrchestrationSettings(BaseSettings):
    """Settings of DAGs, tasks and triggers."""

    model_config = SettingsConfigDict(env_prefix="VIGIE_", env_file=".env", env_ignore_empty=True, extra="ignore")

    ingestion_url: str = "http://127.0.0.1:8601"
    preprocessing_url: str = "http://127.0.0.1:8602"
    training_url: str = "http://127.0.0.1:8603"
    drift_url: str = "http://127.0.0.1:8604"
    public_url: str | None = None
    """Public URL of the edge, the base of all links; default: ``http://127.0.0.1:8000``."""
    registry_pages_url: str | None = None
    """Public URL of MLflow's UI; default: ``public_url`` and ``/mlflow``."""
    require_approval: bool = False
    """Whether promotions wait for approval, if a run does not set it."""
    airflow_retries: int = Field(default=2, ge=0, le=10)
    airflow_retry_seconds: float = Field(default=60.0, ge=1)
    """Delay before the retry of a failed task, seconds; doubles with each retry."""
    airflow_night_begins: int = Field(default=0, ge=0, le=23)
    """Hour, in UTC, at which the nightly runs begin, when there are few calls."""
    airflow_poll_seconds: float = Field(default=5.0, gt=0, le=60)
    airflow_outage_seconds: float = Field(default=900.0, gt=0)
    """Time after which a deferred task fails if its stage service does not answer, seconds."""

    @property
    def edge(self) -> str:
        return (self.public_url or "http://127.0.0.1:8000").rstrip("/")

    @property
    def mlflow_pages(self) -> str:
        return (self.registry_pages_url or f"{self.edge}/mlflow").rstrip("/")

    def service_url(self, service: str) -> str:
        """Return a stage service's base URL.

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
    """Create the client of a stage service. URL and credential come from the environment of the calling process, never
    from task arguments, which Airflow stores and displays.

    Raises:
        VigieError: there is no credential.
    """
    token = Settings().service_token
    if token is None:
        raise VigieError(
            "There is no credential for the stage services.",
            expected="VIGIE_SERVICE_TOKEN",
            action="Run ./vigie init, or set the variable for Airflow's scheduler and triggerer.",
        )
    url = OrchestrationSettings().service_url(service)
    return ServiceClient(f"the {service} service", url, token=token, caller="airflow", receiver=service)
