"""The ingestion service with the trial's jobs: ``python -m tests.integration.jobs.trial_server``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import main
from services.ingestion.settings import IngestionSettings

if __name__ == "__main__":
    sys.exit(
        main(
            "ingestion",
            "Trial",
            "tests.integration.jobs.trial_jobs",
            IngestionSettings,
            lambda chosen: (chosen.ingestion_host, chosen.ingestion_port),
        )
    )
