"""Retention of Airflow's own history: old runs in its database, old log files."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vigie_orchestration.environment import ROOT
from vigie_orchestration.settings import AirflowSettings

log = logging.getLogger(__name__)

TABLES = "dag_run,task_instance_history,log,job,xcom,trigger,import_error,asset_event"


def clean_runs(keep_days: int, *, dry_run: bool) -> None:
    """Run ``airflow db clean`` in a separate process: tasks have no database access.

    Raises:
        subprocess.CalledProcessError: it failed; its output is in the log.
    """
    before = datetime.now(UTC) - timedelta(days=keep_days)
    line = [sys.executable, str(ROOT / "airflow" / "start.py"), "airflow", "db", "clean", "--yes", "--skip-archive"]
    line += ["--tables", TABLES, "--clean-before-timestamp", before.isoformat(), *(["--dry-run"] if dry_run else [])]
    # Tasks get unusable AIRFLOW__DATABASE__ variables; start.py derives the real ones from Vigie's settings.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__DATABASE__")}
    done = subprocess.run(line, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        log.error("%s", done.stdout + done.stderr)
    done.check_returncode()
    for output in done.stdout.splitlines():
        if output.startswith(("Checking", "Found", "Performing")):
            log.info("%s", output)


def clean_logs(keep_days: int, *, dry_run: bool) -> int:
    """Delete log files not modified for ``keep_days``, and empty folders. Returns the number of files."""
    folder = AirflowSettings().folder / "logs"
    horizon = time.time() - keep_days * 86_400
    old = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mtime < horizon]
    log.info("%d log files are older than %d days: %s.", len(old), keep_days, "kept" if dry_run else "removed")
    if not dry_run:
        for path in old:
            path.unlink(missing_ok=True)
        _remove_empty_folders(folder)
    return len(old)


def _remove_empty_folders(folder: Path) -> None:
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
