"""Connects to MLflow: URL, timeouts, and translation of its errors into ours.

MLflow is imported when a client is created: it takes seconds, and not every process needs it."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from services.core.errors import VigieError
from services.core.io import replacing
from services.core.paths import VigiePaths
from services.core.settings import no_proxy_environment

_QUIET_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def embedded_uri(home: VigiePaths) -> str:
    return f"sqlite:///{home.registry_database}"


def connect(uri: str, home: VigiePaths, patience: float) -> Any:
    """Create an MLflow client. Requests time out after ``patience`` seconds and are retried once; MLflow's defaults
    wait for minutes. A missing embedded database is created first, under a lock. MLflow reads the user from
    ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``."""
    os.environ.update(_QUIET_VARIABLES | no_proxy_environment(uri))
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, round(patience)))
    from mlflow import MlflowClient  # noqa: PLC0415

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    home.registry_artifacts.mkdir(parents=True, exist_ok=True)
    with translate_errors(uri):
        if uri == embedded_uri(home) and not home.registry_database.is_file():
            with FileLock(home.registry_database.with_suffix(".lock")):
                if not home.registry_database.is_file():
                    _create_database(home.registry_database)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _create_database(path: Path) -> None:
    """Create MLflow's tables in a temporary file and rename it, so that a database is complete or absent.

    A crash meanwhile loses nothing, so SQLite's fsync per statement is off: one second instead of six."""
    from mlflow import MlflowClient  # noqa: PLC0415
    from sqlalchemy import event  # noqa: PLC0415
    from sqlalchemy.engine import Engine  # noqa: PLC0415

    names: set[str] = set()

    def in_a_hurry(connection: Any, _record: Any) -> None:
        """Disable fsync for this file only: other threads may connect to other databases meanwhile."""
        if isinstance(connection, sqlite3.Connection):
            files = [file for _, _, file in connection.execute("PRAGMA database_list")]
            if names & {Path(file).name for file in files}:
                connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", in_a_hurry)
    try:
        with replacing(path, durable=True) as beside:
            names.add(beside.name)
            MlflowClient(f"sqlite:///{beside}", f"sqlite:///{beside}").search_registered_models(max_results=1)
    finally:
        event.remove(Engine, "connect", in_a_hurry)


def redact(error: Exception, uri: str) -> str:
    """Return the error's first line without credentials from the registry's URL."""
    return (str(error).splitlines() or [type(error).__name__])[0].replace(uri, _without_credentials(uri))[:300]


@contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Translate MLflow's errors into ours."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        yield
    except MlflowException as error:
        raise VigieError(
            f"The model registry {_without_credentials(uri)} did not do what was asked: {redact(error, uri)}",
            action=_suggest_action(str(error)),
        ) from None  # MLflow's message contains the URL with the password


def _suggest_action(words: str) -> str:
    if "error code 401" in words:
        return "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user of the registry."
    if "error code 403" in words:
        return "This takes another user (MLFLOW_TRACKING_USERNAME): writer registers and promotes, reader reads."
    return "See that it runs (./vigie status) and that VIGIE_REGISTRY_URL is its address."


def is_not_found(error: Exception) -> bool:
    """Whether a model, version or alias does not exist. MLflow's code for a missing alias is
    INVALID_PARAMETER_VALUE."""
    code = getattr(error, "error_code", "")
    return code == "RESOURCE_DOES_NOT_EXIST" or (code == "INVALID_PARAMETER_VALUE" and "alias" in str(error))


def is_denied(error: Exception) -> bool:
    """Whether the server denied access. MLflow also denies what does not exist, against name guessing."""
    return "error code 403" in str(error)


def _without_credentials(uri: str) -> str:
    """Return the URL without credentials."""
    scheme, found, rest = uri.partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}"
