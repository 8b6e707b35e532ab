"""Serves the drift service: ``python -m services.drift``."""

from __future__ import annotations

import sys
from functools import lru_cache

from sqlalchemy import Engine

from services.core.database.connection import database_address, make_engine
from services.core.web.stage_service import run_stage_service
from services.drift.api import monitoring_router, register_metrics
from services.drift.settings import DriftSettings


@lru_cache(maxsize=1)
def _engine(url: str) -> Engine:
    """One for reading, beside the one of the job queue."""
    return make_engine(url)


def read_engine(chosen: DriftSettings) -> Engine:
    """The database engine of the routes and metrics, one for each address."""
    return _engine(database_address(chosen.database_url, chosen.home))


if __name__ == "__main__":
    sys.exit(
        run_stage_service(
            "drift",
            "Vigie: drift and live quality",
            "services.drift.jobs",
            DriftSettings,
            lambda chosen: (chosen.drift_host, chosen.drift_port),
            routers=lambda chosen: [monitoring_router(read_engine(chosen), chosen.home)],
            figures=lambda chosen, counters: register_metrics(counters, read_engine(chosen)),
        )
    )
