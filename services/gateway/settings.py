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
    """Fernet key that encrypts the private signing keys and authenticates the audit log's head. No default: ``./vigie
    init`` and ``./vigie up`` create one. Changing it invalidates all tokens."""
    gateway_admin_password: SecretStr | None = Field(default=None, min_length=12)
    """Password of the first user, ``admin``, created if there are no users."""
    gateway_first_centre: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    gateway_registration: bool = False
    """Allow self-registration (as viewer of the first centre)."""
    gateway_first_training: bool = True
    """Train use cases without a model on start-up."""
    gateway_first_source: Literal["auto", "official", "simulator"] = "auto"
    """Data source of the first training."""
    gateway_signing_days: float = Field(default=30.0, gt=0, le=365)
    gateway_refresh_hours: float = Field(default=12.0, gt=0, le=720)
    """Idle session timeout, hours."""
    gateway_session_days: float = Field(default=7.0, gt=0, le=365)
    """Absolute session lifetime, days."""
    gateway_login_failures: int = Field(default=5, ge=2, le=100)
    """Failed logins of one user before a lockout, which doubles with each further failure."""
    gateway_login_per_address: int = Field(default=30, ge=2, le=100_000)
    """Failed logins of one address allowed within five minutes."""
    gateway_password_threads: int = Field(default=2, ge=1, le=32)
    """Passwords verified concurrently; each takes 64 MB for about 100 ms."""
    gateway_second_factor_required: bool = False
    """Operators and administrators who sign in with a password need a second factor (TOTP) for anything else."""
    oidc_issuer: str | None = None
    """Issuer of an OpenID Connect provider at which people sign in; without one there is none."""
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_scope: str = "openid profile email"
    oidc_groups_claim: str = "groups"
    """Claim of the ID token that lists a person's groups."""
    oidc_name_claim: str = "preferred_username"
    oidc_groups: str = ""
    """What groups may do: ``group=role``, ``group=role:centre`` or ``group=role:*``, separated by commas."""
    gateway_key_days: int = Field(default=365, ge=1, le=3_650)
    """Default lifetime of an API key, days."""
    gateway_stage_patience_seconds: float = Field(default=900.0, gt=0)
    """Time after which a run fails if its stage service does not answer, seconds."""
    gateway_certificate_address: str | None = None
    """``host:port`` of the edge's TLS listener, whose certificate expiry is exported."""
    gateway_certificate_name: str | None = None
    """Server name (SNI) of that certificate."""
    ingestion_url: str = "http://127.0.0.1:8601"
    preprocessing_url: str = "http://127.0.0.1:8602"
    training_url: str = "http://127.0.0.1:8603"
    drift_url: str | None = None
    """Base URL of the drift service; without one there is no monitoring."""
    gateway_monitor_hours: float = Field(default=24.0, ge=0, le=720)
    """Interval of monitoring runs without Airflow, hours; 0 disables them."""
    gateway_housekeeping_hours: float = Field(default=24.0, ge=0, le=720)
    """Interval of housekeeping, which enforces retention, without Airflow, hours; 0 disables it."""
    require_approval: bool = False
    """Automatic retrainings wait for approval before promotion. (Also read by Airflow's DAGs.)"""
    simulator_url: str | None = None
    """Base URL of the simulator; without one no simulation can be started."""
    dashboard_url: str | None = None
    """Public URL of the dashboard, if it is not served below the gateway's own (as behind the edge)."""
    airflow_url: str | None = None
    """Airflow's base URL, path included. Without one the gateway runs the steps itself."""
    airflow_user: str = "admin"
    airflow_password: SecretStr | None = None


@lru_cache(maxsize=1)
def settings() -> GatewaySettings:
    """Return the process's settings, read once."""
    return GatewaySettings()
