"""SQLite databases: a snapshot of one that is being written to, and what it names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

_BUSY_SECONDS = 30.0
# Where MLflow keeps addresses of artifacts.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


def snapshot(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment; writers go on."""
    uri = f"file:{quote(str(source))}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def revisions(database: Path) -> list[str]:
    """The newest migrations of the platform's database."""
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]


def bundles(registry: Path, home: str) -> Iterator[tuple[str, str]]:
    """Each registered version and its bundle's folder below the home; versions whose files lie elsewhere are
    left out."""
    artifacts = f"{home}/registry/artifacts/"
    with closing(sqlite3.connect(registry)) as connection:
        rows = connection.execute("SELECT name, version, source FROM model_versions ORDER BY name, version").fetchall()
    for name, version, source in rows:
        parts = urlsplit(source or "")
        path = unquote(parts.path)
        if parts.scheme == "mlflow-artifacts":
            yield f"{name} version {version}", f"registry/artifacts/{path.lstrip('/')}"
        elif path.startswith(artifacts):
            yield f"{name} version {version}", path.removeprefix(f"{home}/")


def move_addresses(registry: Path, old: str, new: str) -> None:
    """Let MLflow's database find its artifacts below another home."""
    before, after = (f"{Path(home).as_uri()}/" for home in (old, new))
    with closing(sqlite3.connect(registry)) as connection, connection:
        for table, column in _ADDRESSES:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                (after, len(before) + 1, len(before), before),
            )
