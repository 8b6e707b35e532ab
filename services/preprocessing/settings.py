"""Settings of the preprocessing service, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from pydantic import Field

from services.core.jobs.settings import JobSettings


class PreprocessingSettings(JobSettings):
    preprocessing_host: str = "127.0.0.1"
    preprocessing_port: int = Field(default=8602, ge=1, le=65_535)
