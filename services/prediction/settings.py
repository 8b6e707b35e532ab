"""Settings of the prediction service, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from services.core.paths import VigiePaths
from services.core.prediction_log.settings import PredictionLogSettings


class PredictionSettings(PredictionLogSettings):
    prediction_host: str = "127.0.0.1"
    prediction_access: Literal["required", "open"] = "required"
    """``open`` asks nobody who calls; refused where others than this machine can reach the service."""
    prediction_body_limit_kb: int = Field(default=64, ge=1, le=10_240)
    """Largest body of predict and explain."""
    prediction_batch_limit_mb: int = Field(default=16, ge=1, le=256)
    """Largest body of a batch."""
    prediction_batch_rows: int = Field(default=10_000, ge=1, le=100_000)
    prediction_confirmed_seconds: float = Field(default=60.0, gt=0, le=3_600)
    """How long after the registry's last word an answer still says ``source: champion``."""
    prediction_disk_wait_seconds: float = Field(default=20.0, ge=0, le=300)
    """How long start-up waits for the bundles on disk; the registry is never waited for."""
    prediction_background_threads: int = Field(default=2, ge=1, le=16)
    """How many batches and explanations run at once, beside single predictions."""
    prediction_journal_mb: int = Field(default=1_024, ge=1, le=1_048_576)
    """What may wait on disk for the database; calls beyond it are answered, and not recorded."""
    prediction_journal_seconds: float = Field(default=1.0, gt=0, le=60)
    """How often what was recorded is delivered to the database."""
    prediction_outcome_rows: int = Field(default=1_000, ge=1, le=100_000)
    """Most outcomes of one request."""
    prediction_list_rows: int = Field(default=500, ge=1, le=5_000)
    """Most predictions of one page of a list."""
    prediction_published_home: Path | None = None
    """The home that runs publish to, where it is another than the service's own."""

    @property
    def published_home(self) -> VigiePaths:
        path = self.prediction_published_home
        return self.home if path is None else VigiePaths(path.expanduser().resolve())


@lru_cache(maxsize=1)
def settings() -> PredictionSettings:
    """The process's settings, read once."""
    return PredictionSettings()
