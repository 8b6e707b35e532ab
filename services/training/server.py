"""The training service: ``python -m services.training.server``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import main
from services.training.counters import count_decisions
from services.training.settings import TrainingSettings

if __name__ == "__main__":
    sys.exit(
        main(
            "training",
            "Vigie: training",
            "services.training.jobs",
            TrainingSettings,
            lambda chosen: (chosen.training_host, chosen.training_port),
            figures=lambda _, counters: count_decisions(counters),
        )
    )
