"""Settings of the drift service, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from services.core.jobs.options import JobSettings


class DriftSettings(JobSettings):
    """Settings of the drift service, beyond those of every service with jobs."""

    job_secrets: ClassVar[frozenset[str]] = frozenset({"VIGIE_SERVICE_TOKEN"})
    """A run requests retrainings and rollbacks from the gateway."""
    drift_host: str = "127.0.0.1"
    drift_port: int = Field(default=8604, ge=1, le=65_535)
    drift_daily_retrainings: int | None = Field(default=None, ge=0)
    """Automatic retrainings within 24 hours, instead of ``monitoring.daily_retrainings`` in ``params.yaml``."""
    drift_cooldown_hours: float | None = Field(default=None, ge=0)
    """Instead of ``monitoring.cooldown_hours``; rehearsals in compressed time shorten it."""
