"""Settings of the MLflow registry server, from the environment."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.errors import VigieError


class ServerSettings(BaseSettings):
    """Settings of the MLflow server."""

    # An empty variable is an error here, not unset: without passwords there is no authentication.
    model_config = SettingsConfigDict(env_prefix="VIGIE_REGISTRY_", env_file=".env", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=5500, ge=1, le=65535)
    backend: str | None = None
    """SQLAlchemy URL of MLflow's database; by default the SQLite file below ``VIGIE_HOME``."""
    artifacts: Literal["files", "proxied"] = "files"
    """``files``: clients on this machine access the artifacts' folder directly, so that versions registered through the
    server and those written to the SQLite file directly are the same to both. ``proxied``: the server transfers
    artifacts; for clients on other machines."""
    allowed_hosts: str = "127.0.0.1:*,localhost:*"
    """Accepted Host headers with ports, comma-separated, ``*`` as wildcard."""
    prefix: str = ""
    """Path prefix behind an edge, for example ``/mlflow``."""

    admin_user: str = "admin"
    admin_password: SecretStr | None = Field(default=None, min_length=12)
    """Turns authentication on. Without it the server starts on a loopback address only."""
    writer_password: SecretStr | None = Field(default=None, min_length=12)
    """Password of the user ``writer``, who registers versions and moves aliases: for training."""
    reader_password: SecretStr | None = Field(default=None, min_length=12)
    """Password of the user ``reader``, who has read access only: for prediction and users of MLflow's pages."""
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    """Signs the forms of MLflow's pages; required with authentication."""
    auth_backend: str | None = None
    """SQLAlchemy URL of the database of MLflow's users; by default ``backend``, or a
    SQLite file below ``VIGIE_HOME``."""

    @property
    def authenticated(self) -> bool:
        return self.admin_password is not None

    @property
    def loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def check(self) -> None:
        """Check the combination of settings.

        Raises:
            VigieError: the server would be open to everybody, or authentication could not work.
        """
        if not self.authenticated and not self.loopback:
            raise VigieError(
                f"The registry would serve everybody who reaches {self.host}.",
                expected="VIGIE_REGISTRY_ADMIN_PASSWORD, or VIGIE_REGISTRY_HOST=127.0.0.1",
                action="./vigie init writes passwords into .env.",
            )
        if self.authenticated and self.secret_key is None:
            raise VigieError(
                "The registry has passwords and no key to sign its forms with.",
                expected="VIGIE_REGISTRY_SECRET_KEY, at least 32 characters",
                action="./vigie init writes one into .env.",
            )
