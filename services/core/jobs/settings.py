"""Settings of the stage services' jobs, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from services.core.settings import Settings


class JobSettings(Settings):
    """Limits, lease and retention of jobs."""

    job_secrets: ClassVar[frozenset[str]] = frozenset()
    """Secret environment variables that the service's jobs need; all others are withheld."""
    job_parallel: int = Field(default=2, ge=1, le=64)
    """Maximum number of concurrent jobs of a service."""
    job_memory_mb: int = Field(default=6_144, ge=64)
    """Memory limit of a job's process tree (RSS); above it the job is killed."""
    job_seconds: float = Field(default=21_600.0, gt=0)
    """Time limit of a job, seconds."""
    job_keep_days: int = Field(default=90, ge=1)
    """Retention of finished jobs, and with them of their idempotency keys, days."""
    job_lease_seconds: float = Field(default=15.0, gt=0.5, le=600)
    """Lease of a running job, seconds; after it the service is considered gone and the job interrupted."""
    job_rerun_interrupted: bool = True
    """Rerun an interrupted job automatically, once."""
