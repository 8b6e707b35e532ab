"""The ingestion service with the trial's jobs: ``python -m tests.integration.core.jobs.trial_server``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import run_stage_service
from services.ingestion.service import IngestionSettings

if __name__ == "__main__":
    sys.exit(
        run_stage_service(
            "ingestion",
            "Trial",
            "tests.integration.core.jobs.trial_jobs",
            IngestionSettings,
            lambda chosen: (chosen.ingestion_host, chosen.ingestion_port),
        )
    )
