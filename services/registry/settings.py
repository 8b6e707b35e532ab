"""Settings of the registry's server, from the environment."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.errors import VigieError


class ServerSettings(BaseSettings):
    # An empty variable is an error here and not an unset one: without passwords there is no authentication.
    model_config = SettingsConfigDict(env_prefix="VIGIE_REGISTRY_", env_file=".env", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=5500, ge=1, le=65535)
    backend: str | None = None
    """SQLAlchemy address of MLflow's database; without one the SQLite file below ``VIGIE_HOME``."""
    artifacts: Literal["files", "proxied"] = "files"
    """``files``: clients on this machine read and write the artifacts' folder themselves, so what was
    registered through the server and what was written straight into the SQLite file are the same to
    both. ``proxied``: clients send artifacts through the server; for clients on other machines."""
    allowed_hosts: str = "127.0.0.1:*,localhost:*"
    """Host headers that are answered, with ports, comma-separated, ``*`` for any part."""
    prefix: str = ""
    """Path below which an edge serves it, for example ``/mlflow``."""

    admin_user: str = "admin"
    admin_password: SecretStr | None = Field(default=None, min_length=12)
    """Turns authentication on. Without one the server starts on this machine's own address alone."""
    writer_password: SecretStr | None = Field(default=None, min_length=12)
    """Of the user ``writer``, who registers versions and moves aliases: for training."""
    reader_password: SecretStr | None = Field(default=None, min_length=12)
    """Of the user ``reader``, who only reads: for prediction and for people's pages."""
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    """Signs the forms of MLflow's own pages; needed with authentication."""
    auth_backend: str | None = None
    """SQLAlchemy address of the database of MLflow's users; without one ``backend`` holds them too, or a
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
        """
        Raises:
            VigieError: the server would let everybody in, or could not keep anybody out.
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
