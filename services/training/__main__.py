"""Serves the training service: ``python -m services.training``."""

from __future__ import annotations

import sys

from services.core.web.stage_service import run_stage_service
from services.training.service import TrainingSettings, register_decision_metrics

if __name__ == "__main__":
    sys.exit(
        run_stage_service(
            "training",
            "Vigie: training",
            "services.training.service",
            TrainingSettings,
            lambda chosen: (chosen.training_host, chosen.training_port),
            figures=lambda _, counters: register_decision_metrics(counters),
        )
    )
