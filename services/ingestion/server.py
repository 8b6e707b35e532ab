"""The ingestion service: ``python -m services.ingestion.server``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import main
from services.ingestion.counters import show_rows
from services.ingestion.data_routes import data_router
from services.ingestion.settings import IngestionSettings

if __name__ == "__main__":
    sys.exit(
        main(
            "ingestion",
            "Vigie: ingestion",
            "services.ingestion.jobs",
            IngestionSettings,
            lambda chosen: (chosen.ingestion_host, chosen.ingestion_port),
            routers=lambda chosen: [data_router(chosen)],
            figures=lambda chosen, counters: show_rows(counters, chosen.home),
        )
    )
