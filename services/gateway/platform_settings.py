"""Where the parts are that the gateway only looks at, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from pydantic import Field

from services.core.settings import Settings


class PlatformSettings(Settings):
    """Addresses with their base path. Without one the part is taken for absent."""

    prediction_url: str = "http://127.0.0.1:8500"
    grafana_url: str | None = None
    prometheus_url: str | None = None
    alertmanager_url: str | None = None
    platform_health_seconds: float = Field(default=2.0, gt=0, le=10)
    """How long a part may take to say how it is, before it is taken for down."""
