"""Serves the ingestion service: ``python -m services.ingestion``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import run_stage_service
from services.ingestion.service import IngestionSettings, data_router, register_row_metrics

if __name__ == "__main__":
    sys.exit(
        run_stage_service(
            "ingestion",
            "Vigie: ingestion",
            "services.ingestion.service",
            IngestionSettings,
            lambda chosen: (chosen.ingestion_host, chosen.ingestion_port),
            routers=lambda chosen: [data_router(chosen)],
            figures=lambda chosen, counters: register_row_metrics(counters, chosen.home),
        )
    )
