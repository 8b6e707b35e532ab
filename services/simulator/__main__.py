"""``python -m services.simulator``: serves the simulator with one uvicorn worker."""

from __future__ import annotations

import sys

import structlog

from services.core.errors import VigieError
from services.core.logs import configure_logging
from services.core.web.app_factory import serve
from services.simulator.app import create_app
from services.simulator.settings import SimulatorSettings


def main() -> int:
    configure_logging("simulator")
    try:
        settings = SimulatorSettings()
        app = create_app(settings)
    except VigieError as error:
        structlog.get_logger().error("service does not start", reason=str(error))
        return 1
    serve(app, settings.simulator_host, settings.simulator_port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
