"""Settings of the ingestion service, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from pydantic import Field

from services.core.jobs.settings import JobSettings


class IngestionSettings(JobSettings):
    ingestion_host: str = "127.0.0.1"
    ingestion_port: int = Field(default=8601, ge=1, le=65_535)
    ingestion_folders: str = ""
    """Folders, separated by commas, that jobs may name as a source, with all below them. The drop folders
    below ``VIGIE_HOME`` always may be named."""
