"""Where the parts are that the gateway only looks at, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from pydantic import Field, field_validator

from services.core.settings import Settings


class PlatformSettings(Settings):
    """Addresses with their base path. Without one the part is taken for absent."""

    prediction_url: str = "http://127.0.0.1:8500"
    grafana_url: str | None = None
    prometheus_url: str | None = None
    alertmanager_url: str | None = None
    platform_health_seconds: float = Field(default=2.0, gt=0, le=10)
    """How long a part may take to say how it is, before it is taken for down."""

    @field_validator(
        "grafana_url",
        "prometheus_url",
        "alertmanager_url",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        """Compose hands an unset variable on as an empty one."""
        return value or None
