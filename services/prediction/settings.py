"""Settings of the prediction service, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from services.core.paths import VigiePaths
from services.core.prediction_log.settings import PredictionLogSettings


class PredictionSettings(PredictionLogSettings):
    """Settings of the prediction service."""

    prediction_host: str = "127.0.0.1"
    prediction_access: Literal["required", "open"] = "required"
    """``open`` admits callers without credentials; refused unless the service listens on loopback only."""
    prediction_body_limit_kb: int = Field(default=64, ge=1, le=10_240)
    """Largest body of predict and explain requests, KiB."""
    prediction_batch_limit_mb: int = Field(default=16, ge=1, le=256)
    """Largest body of a batch request, MiB."""
    prediction_batch_rows: int = Field(default=10_000, ge=1, le=100_000)
    prediction_confirmed_seconds: float = Field(default=60.0, gt=0, le=3_600)
    """How long an answer says ``source: champion`` after the registry's last confirmation, seconds."""
    prediction_withdrawn: Literal["baseline", "none"] = "baseline"
    """What an answer holds whose advice an operator withdrew: the baseline's figures, or null."""
    prediction_disk_wait_seconds: float = Field(default=20.0, ge=0, le=300)
    """How long start-up waits for the bundles on disk, seconds; it never waits for the registry."""
    prediction_background_threads: int = Field(default=2, ge=1, le=16)
    """Concurrent batches and explanations, in addition to single predictions."""
    prediction_background_waiting: int = Field(default=8, ge=1, le=1_000)
    """Batches and explanations that may wait for one of the threads; twice as many requests with outcomes and four
    times as many lists may wait for theirs. More are refused with 503."""
    prediction_journal_mb: int = Field(default=1_024, ge=1, le=1_048_576)
    """Largest backlog of the write-ahead log, MiB; calls beyond it are answered but not recorded."""
    prediction_journal_seconds: float = Field(default=1.0, gt=0, le=60)
    """Interval at which recorded calls are shipped to the database, seconds."""
    prediction_outcome_rows: int = Field(default=1_000, ge=1, le=100_000)
    """Maximum number of outcomes in one request."""
    prediction_list_rows: int = Field(default=500, ge=1, le=5_000)
    """Maximum number of predictions on one page of a list."""
    prediction_published_home: Path | None = None
    """Home directory that pipeline runs publish to, if it is not the service's own."""

    @property
    def published_home(self) -> VigiePaths:
        path = self.prediction_published_home
        return self.home if path is None else VigiePaths(path.expanduser().resolve())


@lru_cache(maxsize=1)
def settings() -> PredictionSettings:
    """The settings of this process, read once."""
    return PredictionSettings()
