"""Settings of the gateway, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pydantic import Field, SecretStr

from services.core.settings import Settings


class GatewaySettings(Settings):
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=8600, ge=0, le=65535)
    gateway_key_encryption: SecretStr | None = None
    """Fernet key that the private signing keys are encrypted with, and that the audit log's end is signed
    with. There is no default: ``./vigie init`` and ``./vigie up`` make one. With another key nobody's token counts."""
    gateway_admin_password: SecretStr | None = Field(default=None, min_length=12)
    """Password of the first user, ``admin``, who is made when there are no users."""
    gateway_first_centre: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    gateway_registration: bool = False
    """Whether people may make themselves a user (a viewer of the first centre)."""
    gateway_first_training: bool = True
    """Whether use cases without any model are trained when the platform starts."""
    gateway_first_source: Literal["auto", "official", "simulator"] = "auto"
    """Where the data of the first training comes from."""
    gateway_signing_days: float = Field(default=30.0, gt=0, le=365)
    gateway_refresh_hours: float = Field(default=12.0, gt=0, le=720)
    """A sign-in ends when it was not used for so long,"""
    gateway_session_days: float = Field(default=7.0, gt=0, le=365)
    """and after so long anyway."""
    gateway_login_failures: int = Field(default=5, ge=2, le=100)
    """From so many failed sign-ins of one user on there is a pause, which doubles with each further one."""
    gateway_login_per_address: int = Field(default=30, ge=2, le=100_000)
    """Failed sign-ins of one address within five minutes."""
    gateway_password_threads: int = Field(default=2, ge=1, le=32)
    """Passwords that are checked at the same time; each takes 64 MB for about 100 ms."""
    gateway_key_days: int = Field(default=365, ge=1, le=3_650)
    """How long an API key lives if nothing is said."""
    gateway_stage_patience_seconds: float = Field(default=900.0, gt=0)
    """How long a run waits for a stage service that does not answer before it fails."""
    gateway_certificate_address: str | None = None
    """``host:port`` of the edge where it speaks TLS, whose certificate's end is watched; and"""
    gateway_certificate_name: str | None = None
    """the name that the certificate is asked for by."""
    ingestion_url: str = "http://127.0.0.1:8601"
    preprocessing_url: str = "http://127.0.0.1:8602"
    training_url: str = "http://127.0.0.1:8603"
    drift_url: str | None = None
    """Where the drift service listens; without one nobody looks at the calls."""
    gateway_monitor_hours: float = Field(default=24.0, ge=0, le=720)
    """Without Airflow the calls are looked at so often; 0 is never."""
    require_approval: bool = False
    """Whether a retraining by signal waits for a person before its promotion. (Airflow's DAGs read it too.)"""
    simulator_url: str | None = None
    """Where the simulator listens; without one there is none to start."""
    dashboard_url: str | None = None
    """Where browsers find the dashboard, if not at the gateway's own address (as behind the edge)."""
    airflow_url: str | None = None
    """Airflow's address with its base path. Without one the gateway drives the stage services itself."""
    airflow_user: str = "admin"
    airflow_password: SecretStr | None = None


@lru_cache(maxsize=1)
def settings() -> GatewaySettings:
    """The process's settings, read once."""
    return GatewaySettings()
