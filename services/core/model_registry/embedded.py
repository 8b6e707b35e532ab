"""Reads the embedded registry's versions, aliases and artifacts straight from MLflow's SQLite tables.

Importing MLflow takes seconds, and most processes and commands only read. Writing goes through MLflow."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from services.core.errors import VigieError
from services.core.model_registry.version import RegisteredVersion, from_mlflow

_BUSY_SECONDS = 30.0
_DELETED = "Deleted_Internal"
"""MLflow's stage of deleted versions."""


def versions(database: Path, use_case: str) -> list[RegisteredVersion]:
    """List all versions, newest first, with their aliases; empty if there is no database, which is never created here.

    Raises:
        VigieError: the database cannot be read.
    """
    found = _rows(
        database,
        "SELECT version, run_id, source FROM model_versions WHERE name = ? AND current_stage IS NOT ? "
        "ORDER BY version DESC",
        (use_case, _DELETED),
    )
    tags: dict[int, dict[str, str]] = {number: {} for number, _, _ in found}
    for number, key, value in _rows(
        database, "SELECT version, key, value FROM model_version_tags WHERE name = ?", (use_case,)
    ):
        tags.setdefault(number, {})[key] = value
    aliases: dict[int, list[str]] = {}
    for number, alias in _rows(
        database, "SELECT version, alias FROM registered_model_aliases WHERE name = ? ORDER BY alias", (use_case,)
    ):
        aliases.setdefault(number, []).append(alias)
    return [
        from_mlflow(
            SimpleNamespace(
                name=use_case,
                version=number,
                run_id=run,
                source=source,
                tags=tags[number],
                aliases=aliases.get(number, ()),
            )
        )
        for number, run, source in found
    ]


def copied(database: Path, run_id: str, name: str, folder: Path) -> Path | None:
    """Copy an artifact (file or folder) of a run to ``folder``; None if the run's artifacts are not on this machine.

    Raises:
        OSError: the artifact does not exist.
        VigieError: the database cannot be read.
    """
    for (uri,) in _rows(database, "SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)):
        parts = urlsplit(uri)
        if parts.scheme in {"", "file"}:
            source = Path(unquote(parts.path)) / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            return Path(copy(source, folder / name))
    return None


def _rows(database: Path, query: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
    if not database.is_file():
        return []
    try:
        address = f"file:{quote(str(database))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise VigieError(
            f"The model registry {database} cannot be read: {error}.",
            action="See that the disk has room and the file is whole; ./vigie restore brings back a backup's.",
        ) from None
