"""``python -m services.dashboard``: runs one Streamlit server. Its options are set here, so that no configuration
file in the working directory changes them."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from streamlit.starlette import App
from streamlit.web import bootstrap
from streamlit.web.server.starlette.starlette_server import _get_uvicorn_config_kwargs

from services.core.errors import VigieError
from services.core.logs import configure_logging
from services.dashboard.components.frontend import THEME
from services.dashboard.pages import PAGES
from services.dashboard.settings import DashboardSettings, settings
from services.dashboard.upload_gate import UploadGate

GRACE_SECONDS = 5
"""Time that open connections have to end when the server stops."""
APP = Path(__file__).parent / "script" / "app.py"


def options(chosen: DashboardSettings) -> dict[str, Any]:
    """Streamlit's options. No usage statistics are sent, and only pages of the same origin may connect; this also holds
    behind the edge, which forwards the browser's Host header."""
    return {
        "global_developmentMode": False,
        # Values that a sign-in keeps are given to widgets that have a default as well.
        "global_disableWidgetStateDuplicationWarning": True,
        "server_address": chosen.dashboard_host,
        "server_port": chosen.dashboard_port,
        "server_headless": True,
        "server_fileWatcherType": "none",
        "server_runOnSave": False,
        "server_enableCORS": True,
        "server_enableXsrfProtection": True,
        "server_xsrfCookieSameSite": "strict",
        "server_maxUploadSize": chosen.dashboard_upload_mb,
        "server_disconnectedSessionTTL": 60,
        "server_enableWebsocketCompression": True,
        "server_websocketPingInterval": 20,
        "browser_gatherUsageStats": False,
        "client_toolbarMode": "minimal",
        "client_showErrorDetails": "none",
        "client_showErrorLinks": "false",
        "logger_level": "warning",
        **{f"theme_{name}": value for name, value in THEME.items()},
    }


def _warm_up() -> None:
    """Import the pages' dependencies at start-up: that takes seconds, which the first visitor would wait for."""
    for page in PAGES:
        importlib.import_module(f"services.dashboard.pages.{page.module}")


def main() -> int:
    configure_logging("dashboard")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line for every request of every page
    chosen = settings()
    log = structlog.get_logger()
    if chosen.service_token is None:
        error = VigieError(
            "There is no credential for calls between services.",
            expected="VIGIE_SERVICE_TOKEN with at least 32 characters",
            action="Run ./vigie init, or set the variable.",
        )
        log.error("the dashboard does not start", reason=str(error))
        return 1
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    flags = options(chosen)
    bootstrap.load_config_options(flag_options=flags)
    log.info("listening", host=chosen.dashboard_host, port=chosen.dashboard_port)
    size = chosen.dashboard_upload_mb << 20
    app = UploadGate(App(APP), per_session=2 * size, in_all=max(2 * size, chosen.dashboard_uploads_mb << 20))
    serving = uvicorn.Config(
        app,
        host=chosen.dashboard_host,
        port=chosen.dashboard_port,
        timeout_graceful_shutdown=GRACE_SECONDS,
        **_get_uvicorn_config_kwargs(),
    )
    uvicorn.Server(serving).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
