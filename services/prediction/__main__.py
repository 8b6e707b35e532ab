"""``python -m services.prediction``: one uvicorn worker; replicas scale."""

from __future__ import annotations

import sys

import structlog
import uvicorn
from fastapi import FastAPI

from services.core.errors import VigieError
from services.core.logs import configure_logs
from services.prediction.app import create_app
from services.prediction.mlflow_champions import core_champions
from services.prediction.settings import PredictionSettings, settings


def run(app: FastAPI, chosen: PredictionSettings) -> None:
    """Serve until a signal ends the process."""
    # A thread that answers a batch gives way to single calls after one millisecond, not five.
    sys.setswitchinterval(0.001)
    uvicorn.run(
        app,
        host=chosen.prediction_host,
        port=chosen.prediction_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,  # counted instead; failures are logged with their request id
        log_config=None,
        server_header=False,
        proxy_headers=False,  # nothing here depends on who calls
    )


def main() -> int:
    configure_logs("prediction")
    chosen = settings()
    try:
        app = create_app(chosen, lambda: core_champions(chosen))
    except VigieError as error:
        structlog.get_logger().error("prediction does not start", reason=str(error))
        return 1
    run(app, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
