"""Settings of the registry's server, from the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServerSettings(BaseSettings):
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
    """SQLAlchemy address of the database of MLflow's users; without one a SQLite file below ``VIGIE_HOME``."""
