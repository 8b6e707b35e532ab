"""MLflow connection: address, timeouts, and its errors translated into ours.

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
    """An MLflow client. A registry that does not answer is given up after ``patience`` seconds and one
    repetition; MLflow's own defaults wait for minutes. An embedded database that is not there is made
    first, under a lock. MLflow takes its user from ``MLFLOW_TRACKING_USERNAME`` and
    ``MLFLOW_TRACKING_PASSWORD``."""
    os.environ.update(_QUIET_VARIABLES)
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
    """Make MLflow's tables beside and rename, so that a database is there whole or not at all. Nothing
    is lost if the machine stops on the way, so SQLite does not wait for the disk after each of the
    hundreds of statements: one second instead of six."""
    from mlflow import MlflowClient  # noqa: PLC0415
    from sqlalchemy import event  # noqa: PLC0415
    from sqlalchemy.engine import Engine  # noqa: PLC0415

    names: set[str] = set()

    def in_a_hurry(connection: Any, _record: Any) -> None:
        """For this file alone: other threads may connect to other databases meanwhile."""
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
    """The error's first line, without a name and password that the registry's address may carry."""
    return (str(error).splitlines() or [type(error).__name__])[0].replace(uri, _without_credentials(uri))[:300]


@contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into ours."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        yield
    except MlflowException as error:
        raise VigieError(
            f"The model registry {_without_credentials(uri)} did not do what was asked: {redact(error, uri)}",
            action=_suggest_action(str(error)),
        ) from None  # MLflow's own words repeat the address with the password in it


def _suggest_action(words: str) -> str:
    if "error code 401" in words:
        return "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user of the registry."
    if "error code 403" in words:
        return "This takes another user (MLFLOW_TRACKING_USERNAME): writer registers and promotes, reader reads."
    return "See that it runs (./vigie status) and that VIGIE_REGISTRY_URL is its address."


def is_not_found(error: Exception) -> bool:
    """Whether MLflow says that a model, version or alias does not exist. For a missing alias its code
    is INVALID_PARAMETER_VALUE."""
    code = getattr(error, "error_code", "")
    return code == "RESOURCE_DOES_NOT_EXIST" or (code == "INVALID_PARAMETER_VALUE" and "alias" in str(error))


def is_denied(error: Exception) -> bool:
    """Whether the server refused this user. MLflow also refuses what does not exist, so that nobody can
    guess names."""
    return "error code 403" in str(error)


def _without_credentials(uri: str) -> str:
    """The address without a name and password that it may carry."""
    scheme, found, rest = uri.partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}"
