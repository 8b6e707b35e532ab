"""Settings that all services share, from the environment (prefix ``VIGIE_``) or ``.env``.

Every variable is explained in ``.env.example``; a test holds the two together.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.paths import VigiePaths

CHECKOUT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    # Compose hands an unset variable on as an empty one.
    model_config = SettingsConfigDict(env_prefix="VIGIE_", env_file=".env", env_ignore_empty=True, extra="ignore")

    home_path: Path = Field(default=CHECKOUT / ".vigie", validation_alias="VIGIE_HOME")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"
    database_url: str | None = None
    """SQLAlchemy address of the platform's database; without one the SQLite file below ``VIGIE_HOME``."""
    service_token: SecretStr | None = Field(default=None, min_length=32)
    """What the platform's services show each other. No default: ``./vigie init`` and ``./vigie up`` make one."""
    gateway_url: str | None = None
    """Where services find the gateway: who may call, and where audit entries go."""
    access_poll_seconds: float = Field(default=10.0, gt=0, le=30)
    """How often a service asks the gateway who may call. A revoked key works so much longer, at most."""
    trusted_proxies: str = "127.0.0.1"
    """Addresses and networks, comma-separated, whose word about who calls is believed: the edge's."""
    registry_url: str | None = None
    """MLflow tracking server; without one the SQLite registry below ``VIGIE_HOME`` is used."""
    registry_port: int = Field(default=5500, ge=1, le=65535)
    prediction_port: int = Field(default=8500, ge=1, le=65535)
    alias_poll_seconds: float = Field(default=2.0, gt=0, le=60)
    official_timeout_seconds: float = Field(default=4.0, gt=0)
    official_size_limit_mb: int = Field(default=2_048, gt=0)
    weather_provider: Literal["none", "csv", "open-meteo", "visual-crossing"] = "none"
    weather_file: Path | None = None
    weather_key: str | None = None
    weather_url: HttpUrl | None = None

    @property
    def home(self) -> VigiePaths:
        return VigiePaths(self.home_path.expanduser().resolve())

    @property
    def published_home(self) -> VigiePaths:
        """Where runs publish: what calls need besides the model is read there."""
        return self.home


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
