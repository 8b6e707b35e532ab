"""Settings shared by all services, from the environment (prefix ``VIGIE_``) or ``.env``.

Every variable is documented in ``.env.example``; a test checks that both agree."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.auth.service_credentials import parse_service_callers
from services.core.paths import VigiePaths

CHECKOUT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Settings that every service reads."""

    # Compose passes an unset variable as an empty one.
    model_config = SettingsConfigDict(env_prefix="VIGIE_", env_file=".env", env_ignore_empty=True, extra="ignore")

    home_path: Path = Field(default=CHECKOUT / ".vigie", validation_alias="VIGIE_HOME")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"
    database_url: str | None = None
    """SQLAlchemy URL of the platform's database; default: the SQLite file below ``VIGIE_HOME``."""
    service_token: SecretStr | None = Field(default=None, min_length=32)
    """Credential of calls between services. No default: ``./vigie init`` and ``./vigie up`` create one."""
    service_callers: str | None = None
    """Credentials that services accept, as ``./vigie init`` derives them from the platform's token:
    ``caller@receiver=SHA-256``, comma-separated. Without it all services share ``service_token``."""
    gateway_url: str | None = None
    """Base URL of the gateway, for auth snapshots and audit entries."""
    access_poll_seconds: float = Field(default=1.0, gt=0, le=30)
    """Polling interval of the auth snapshot, seconds: the maximum delay of a revocation or an emergency stop. More than
    1.5 counts as 1.5."""
    trusted_proxies: str = "127.0.0.1"
    """Addresses and networks, comma-separated, whose forwarding headers are trusted: the edge's."""
    registry_url: str | None = None
    """URL of the MLflow tracking server; default: the SQLite registry below ``VIGIE_HOME``."""
    registry_port: int = Field(default=5500, ge=1, le=65535)
    prediction_port: int = Field(default=8500, ge=1, le=65535)
    alias_poll_seconds: float = Field(default=2.0, gt=0, le=60)
    official_timeout_seconds: float = Field(default=4.0, gt=0)
    official_size_limit_mb: int = Field(default=2_048, gt=0)
    weather_provider: Literal["none", "csv", "open-meteo", "visual-crossing"] = "none"
    weather_file: Path | None = None
    weather_key: str | None = None
    weather_url: HttpUrl | None = None

    @field_validator("home_path")
    @classmethod
    def _nameable(cls, path: Path) -> Path:
        """Refuse what addresses of SQLite databases (``?``) and DVC (braces) cannot hold."""
        if any(letter in "?{}" or ord(letter) < ord(" ") for letter in str(path.expanduser().absolute())):
            raise ValueError(f"a folder without ?, braces and line breaks in its name is needed, not {str(path)!r}")
        return path

    @field_validator("service_callers")
    @classmethod
    def _understood(cls, text: str | None) -> str | None:
        if text is not None:
            parse_service_callers(text)
        return text

    @property
    def home(self) -> VigiePaths:
        return VigiePaths(self.home_path.expanduser().resolve())

    @property
    def published_home(self) -> VigiePaths:
        """Home in which runs publish; prediction reads its context data there."""
        return self.home


def no_proxy_environment(*urls: str) -> dict[str, str]:
    """Return the variables by which libraries that read the environment's proxies reach the platform's own hosts
    directly. Clients made here do not read them (``trust_env=False``).

    Args:
        urls: Addresses of the platform's parts.
    """
    before = os.environ.get("NO_PROXY") or os.environ.get("no_proxy", "")
    hosts = [urlsplit(url).hostname or "" for url in urls]
    listed = ",".join(dict.fromkeys(host for host in (*before.split(","), *hosts, "127.0.0.1", "localhost") if host))
    return {"NO_PROXY": listed, "no_proxy": listed}


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings, read once."""
    return Settings()
