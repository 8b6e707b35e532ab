"""Checks the health of Airflow's processes. Runs every few seconds, so it imports next to nothing: ``airflow jobs
check`` takes three seconds of CPU for the same."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

JOB_TYPES = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}
MAX_HEARTBEAT_AGE = timedelta(seconds=60)
"""Maximum age of a heartbeat: they are written every 5 seconds, later on a busy machine."""
_QUERY = "SELECT max(latest_heartbeat) FROM job WHERE job_type = {0} AND state = 'running' AND hostname = {0}"


def health_problem(component: str, *, root: Path) -> str | None:
    """Return the problem of a component, or None: the API server's health endpoint, or for the others the last
    heartbeat in the database of one on this host."""
    try:
        if component == "api-server":
            state = _metadatabase()
            return None if state == "healthy" else f"Airflow's API server cannot reach its database: {state}."
        beat = _last_heartbeat(JOB_TYPES[component], root)
    except Exception as error:  # noqa: BLE001 - any driver's error means not healthy
        return f"Airflow's {component} cannot be asked: {type(error).__name__}: {error}"
    if beat is None or datetime.now(UTC) - beat > MAX_HEARTBEAT_AGE:
        return f"Airflow's {component} on {socket.gethostname()} is silent since {beat or 'its start'}."
    return None


def _metadatabase() -> str:
    address = f"http://127.0.0.1:{os.environ.get('VIGIE_AIRFLOW_PORT', '8080')}/airflow/api/v2/monitor/health"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(address, timeout=5) as answer:
        return str(json.load(answer)["metadatabase"]["status"])


def _last_heartbeat(job: str, root: Path) -> datetime | None:
    parameters = (job, socket.gethostname())
    if url := os.environ.get("VIGIE_AIRFLOW_DATABASE_URL"):
        import psycopg2  # type: ignore[import-untyped]  # noqa: PLC0415 - only for PostgreSQL

        connection = psycopg2.connect("postgresql://" + url.partition("://")[2], connect_timeout=5)
        try:
            cursor = connection.cursor()
            cursor.execute(_QUERY.format("%s"), parameters)
            return _aware(cursor.fetchone()[0])
        finally:
            connection.close()
    home = os.environ.get("VIGIE_AIRFLOW_HOME") or Path(os.environ.get("VIGIE_HOME") or root / ".vigie") / "airflow"
    database = sqlite3.connect(f"file:{Path(home).expanduser() / 'airflow.db'}?mode=ro", uri=True, timeout=5)
    try:
        return _aware(database.execute(_QUERY.format("?"), parameters).fetchone()[0])
    finally:
        database.close()


def _aware(found: Any) -> datetime | None:
    if found is None:
        return None
    moment = datetime.fromisoformat(found) if isinstance(found, str) else found
    assert isinstance(moment, datetime)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
