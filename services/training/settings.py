"""Settings of the training service, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from pydantic import Field

from services.core.jobs.settings import JobSettings


class TrainingSettings(JobSettings):
    training_host: str = "127.0.0.1"
    training_port: int = Field(default=8603, ge=1, le=65_535)
