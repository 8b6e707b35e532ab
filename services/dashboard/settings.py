"""Settings of the dashboard, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from pydantic import Field

from services.core.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class DashboardSettings(Settings):
    """Settings of the dashboard."""

    dashboard_host: str = "127.0.0.1"
    dashboard_port: int = Field(default=8501, ge=0, le=65535)
    prediction_url: str = "http://127.0.0.1:8500"
    """Address of the prediction API for the dashboard's server; the gateway's is ``gateway_url``."""
    dashboard_sign_in_url: str | None = None
    """The gateway's address for browsers, if it differs from the dashboard's (behind the edge it does not)."""
    dashboard_exercise: bool = False
    """Whether dispatchers may turn on exercise mode; operators and administrators always may."""
    dashboard_upload_mb: int = Field(default=16, ge=1, le=256)
    """Largest upload of a batch or image, MiB."""
    dashboard_uploads_mb: int = Field(default=256, ge=1, le=16_384)
    """Uploads of all sessions together, MiB; a session has twice the largest upload."""
    dashboard_batch_rows: int = Field(default=10_000, ge=1, le=100_000)
    """Maximum number of rows of an uploaded file."""

    @property
    def gateway(self) -> str:
        return self.gateway_url or "http://127.0.0.1:8600"

    def sign_in_address(self, page: str) -> str:
        """The gateway's address for the browser that shows ``page``: the same origin, or the gateway's port on the host
        name that the browser uses, because cookies belong to the host name."""
        if not self.dashboard_sign_in_url:
            return ""
        base, seen = urlsplit(self.dashboard_sign_in_url), urlsplit(page)
        if base.hostname in LOOPBACK and seen.hostname in LOOPBACK:
            host = f"[{seen.hostname}]" if ":" in (seen.hostname or "") else seen.hostname
            base = base._replace(netloc=f"{host}:{base.port}")
        return f"{base.scheme}://{base.netloc}"


@lru_cache(maxsize=1)
def settings() -> DashboardSettings:
    """The settings of this process, read once."""
    return DashboardSettings()
