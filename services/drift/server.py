"""The drift service: ``python -m services.drift.server``."""

from __future__ import annotations

import sys
from functools import lru_cache

from sqlalchemy import Engine

from services.core.database.connection import address, make_engine
from services.core.web.stage_service import main
from services.drift.figures import show_runs
from services.drift.routes import monitoring_router
from services.drift.settings import DriftSettings


@lru_cache(maxsize=1)
def _engine(url: str) -> Engine:
    """One for reading, beside the one of the queue."""
    return make_engine(url)


def engine_of(chosen: DriftSettings) -> Engine:
    return _engine(address(chosen.database_url, chosen.home))


if __name__ == "__main__":
    sys.exit(
        main(
            "drift",
            "Vigie: drift and live quality",
            "services.drift.jobs",
            DriftSettings,
            lambda chosen: (chosen.drift_host, chosen.drift_port),
            routers=lambda chosen: [monitoring_router(engine_of(chosen), chosen.home)],
            figures=lambda chosen, counters: show_runs(counters, engine_of(chosen)),
        )
    )
