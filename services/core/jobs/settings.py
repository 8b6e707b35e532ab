"""Settings of the stage services' jobs, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from services.core.settings import Settings


class JobSettings(Settings):
    job_secrets: ClassVar[frozenset[str]] = frozenset()
    """Environment variables with secrets that the service's jobs get; others have no use for any."""
    job_parallel: int = Field(default=2, ge=1, le=64)
    """How many jobs of different use cases a service runs side by side."""
    job_memory_mb: int = Field(default=6_144, ge=64)
    """Resident memory that all processes of one job may have together; beyond it the job is ended."""
    job_seconds: float = Field(default=21_600.0, gt=0)
    """How long one job may run."""
    job_keep_days: int = Field(default=90, ge=1)
    """How long finished jobs are kept, and with them the promise that their keys never run again."""
    job_lease_seconds: float = Field(default=15.0, gt=0.5, le=600)
    """A service that has not been heard of for so long is taken for gone, and its jobs for interrupted."""
    job_rerun_interrupted: bool = True
    """Start an interrupted job again by itself, once."""
