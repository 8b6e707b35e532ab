"""The preprocessing service: ``python -m services.preprocessing.server``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import main
from services.preprocessing.data_routes import data_router
from services.preprocessing.settings import PreprocessingSettings

if __name__ == "__main__":
    sys.exit(
        main(
            "preprocessing",
            "Vigie: preprocessing",
            "services.preprocessing.jobs",
            PreprocessingSettings,
            lambda chosen: (chosen.preprocessing_host, chosen.preprocessing_port),
            routers=lambda chosen: [data_router(chosen)],
        )
    )
