"""Serves the preprocessing service: ``python -m services.preprocessing``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import run_stage_service
from services.preprocessing.service import PreprocessingSettings, data_router

if __name__ == "__main__":
    sys.exit(
        run_stage_service(
            "preprocessing",
            "Vigie: preprocessing",
            "services.preprocessing.service",
            PreprocessingSettings,
            lambda chosen: (chosen.preprocessing_host, chosen.preprocessing_port),
            routers=lambda chosen: [data_router(chosen)],
        )
    )
