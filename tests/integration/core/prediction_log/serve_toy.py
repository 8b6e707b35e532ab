"""``python -m tests.integration.core.prediction_log.serve_toy HOME PORT``: a prediction process of the toy use case
whose
baseline answers, with everything else as it is in service."""

from __future__ import annotations

import sys

from services.core.logs import configure_logging
from services.prediction.__main__ import run
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry


def main() -> None:
    home, port = sys.argv[1:]
    configure_logging("prediction")
    given = {"VIGIE_HOME": home, "prediction_port": int(port), "prediction_access": "open"}
    settings = PredictionSettings.model_validate({**given, "prediction_journal_seconds": 0.2})
    registry = FolderRegistry()
    run(create_app(settings, lambda: registry, use_cases=[USE_CASE]), settings)


if __name__ == "__main__":
    main()
