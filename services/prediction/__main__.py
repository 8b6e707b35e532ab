"""``python -m services.prediction``: serves the API with one uvicorn worker; scale with replicas."""

from __future__ import annotations

import sys

import structlog
from fastapi import FastAPI

from services.core.errors import VigieError
from services.core.logs import configure_logging
from services.core.web.server import run_server, server_config
from services.prediction.app import create_app
from services.prediction.model_sync.mlflow_registry import connect_registry
from services.prediction.settings import PredictionSettings, settings


def run(app: FastAPI, chosen: PredictionSettings) -> None:
    """Serve until a signal ends the process."""
    # A batch thread releases the interpreter to single calls after one millisecond instead of five.
    sys.setswitchinterval(0.001)
    # No route depends on the client's address.
    config = server_config(app, host=chosen.prediction_host, port=chosen.prediction_port, proxy_headers=False)
    run_server(config)


def main() -> int:
    configure_logging("prediction")
    chosen = settings()
    try:
        app = create_app(chosen, lambda: connect_registry(chosen))
    except VigieError as error:
        structlog.get_logger().error("prediction does not start", reason=str(error))
        return 1
    run(app, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
