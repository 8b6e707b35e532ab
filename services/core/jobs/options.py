"""Options of the jobs, one model per step, and the settings of the services that run them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from services.core.settings import Settings

CONFIRM_PATTERN = r"^\s*(v[0-9a-f]{7}(\s*,\s*v[0-9a-f]{7})*)?\s*$"
"""Codes with which a person confirms doubtful values."""


class NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IngestOptions(NoOptions):
    source: str = Field(
        default="auto",
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f]*$",
        description="official, simulator, a folder, or auto: the first that is there of the official files, the drop "
        "folder and the simulator.",
    )
    fresh: bool = Field(default=False, description="Forget what landed before.")
    confirm: str = Field(
        default="",
        pattern=CONFIRM_PATTERN,
        max_length=500,
        description="Codes of doubtful values that a person confirms, with commas: a refused ingestion names them.",
    )


class GateOptions(NoOptions):
    force: bool = Field(default=False, description="Judge the candidate again although it was judged before.")


class PromoteOptions(NoOptions):
    version: int | None = Field(
        default=None, ge=1, description="Promote this version by hand, past the gate; without it what the gate passed."
    )
    approved: int | None = Field(
        default=None,
        ge=1,
        description="Promote this version if the gate passed it, and no newer candidate in its place.",
    )


class MonitorOptions(NoOptions):
    report: bool = Field(default=True, description="Make Evidently's HTML report too; it takes some seconds.")
    act: bool = Field(default=True, description="Start a retraining or a rollback where that is called for.")


class HousekeepingOptions(NoOptions):
    dry_run: bool = Field(default=True, description="Only tell what would be removed.")
    keep_days: int = Field(default=30, ge=1, le=3_650)


OPTIONS: Mapping[str, type[BaseModel]] = {
    "ingest": IngestOptions,
    "preprocess": NoOptions,
    "train": NoOptions,
    "evaluate": NoOptions,
    "gate": GateOptions,
    "promote": PromoteOptions,
    "rollback": NoOptions,
    "monitor": MonitorOptions,
    "housekeeping": HousekeepingOptions,
}


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
