"""Starts the gateway with one uvicorn worker: ``python -m services.gateway``. Scale with replicas."""

from __future__ import annotations

import sys

import structlog

from services.core.errors import VigieError
from services.core.logs import configure_logging
from services.core.web.app_factory import serve
from services.gateway.app import create_app
from services.gateway.settings import settings


def main() -> int:
    configure_logging("gateway")
    chosen = settings()
    try:
        app = create_app(chosen)
    except VigieError as error:
        structlog.get_logger().error("the gateway does not start", reason=str(error))
        return 1
    serve(app, chosen.gateway_host, chosen.gateway_port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
