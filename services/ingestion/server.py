"""The ingestion service: ``python -m services.ingestion.server``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import main
from services.ingestion.settings import IngestionSettings

if __name__ == "__main__":
    sys.exit(
        main(
            "ingestion",
            "Vigie: ingestion",
            "services.ingestion.jobs",
            IngestionSettings,
            lambda chosen: (chosen.ingestion_host, chosen.ingestion_port),
        )
    )
