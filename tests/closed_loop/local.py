"""A whole platform of local processes on SQLite, without Airflow: what ``./vigie up`` starts, on free ports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from services.cli import secrets
from services.cli.programs import Ports, free_port
from services.core.home import Home
from services.core.settings import CHECKOUT
from tests.e2e.platform_client import Platform

SETTINGS = {
    "VIGIE_GATEWAY_FIRST_TRAINING": "false",
    "VIGIE_GATEWAY_FIRST_SOURCE": "simulator",
    "VIGIE_GATEWAY_MONITOR_HOURS": "0",
    "VIGIE_DRIFT_DAILY_RETRAININGS": "20",
    "VIGIE_ALIAS_POLL_SECONDS": "1",
    "VIGIE_PREDICTION_JOURNAL_SECONDS": "0.5",
    "VIGIE_LOG_LEVEL": "WARNING",
}


class LocalPlatform(Platform):
    """Without an edge: calls go to the prediction service itself."""

    prediction = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._client.event_hooks = {"request": [self._to_prediction]}

    def _to_prediction(self, request: httpx.Request) -> None:
        if request.url.path.startswith("/v1/"):
            request.url = httpx.URL(self.prediction).join(request.url.raw_path.decode())
            request.headers["host"] = request.url.netloc.decode()


@contextmanager
def local_platform(home: Path, *use_cases: str) -> Iterator[Platform]:
    """With a champion of each use case, made from simulated data where there is none yet."""
    ports = {part: free_port(0) for part in Ports().wanted()}
    environment = {
        **os.environ,
        **SETTINGS,
        "PYTHONPATH": str(CHECKOUT),
        "VIGIE_HOME": str(home),
        **{f"VIGIE_{part.upper()}_PORT": str(port) for part, port in ports.items()},
    }

    def vigie(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *arguments],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}"

    for use_case in use_cases:
        if not (home / "current" / use_case).exists():
            vigie("run", use_case, "--source", "simulator")
    vigie("up", "--without", "airflow")
    try:
        password = secrets.value(Home(home), "VIGIE_GATEWAY_ADMIN_PASSWORD")
        gateway, prediction = (f"http://127.0.0.1:{ports[part]}" for part in ("gateway", "prediction"))
        with closing(LocalPlatform(gateway, "admin", password)) as signed_in:
            signed_in.prediction = prediction
            yield signed_in
    finally:
        vigie("down")
