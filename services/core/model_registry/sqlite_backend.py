"""The embedded registry's SQLite database: creating it, moved homes, and what was changed by hand in MLflow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from services.core.io import replacing
from services.core.model_registry.mlflow_backend import BELOW_SOME_HOME, BUSY_SECONDS, path_here, read_rows
from services.core.model_registry.version import CHAMPION, PREVIOUS, Tag
from services.core.paths import VigiePaths

_ARTIFACT_URI_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
"""Columns of MLflow's database with artifact URIs."""
_VERSIONS = "SELECT name, version, source FROM model_versions WHERE current_stage IS NOT 'Deleted_Internal'"


def rewrite_artifact_uris(registry: Path, old: str, new: str) -> None:
    """Rewrite the artifact URIs in MLflow's database from one home to another."""
    before, after = (f"{Path(home).as_uri()}/" for home in (old, new))
    with closing(sqlite3.connect(registry, timeout=BUSY_SECONDS)) as connection, connection:
        for table, column in _ARTIFACT_URI_COLUMNS:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                (after, len(before) + 1, len(before), before),
            )


def follow_home(home: VigiePaths) -> int:
    """Point artifact URIs to this home if it was moved or copied here; returns how many were changed.

    An experiment's location always follows, so that no new version is written elsewhere; a run's or version's only if
    its files are here."""
    moved = _moved(home)
    if moved:
        with closing(sqlite3.connect(home.registry_database, timeout=BUSY_SECONDS)) as connection, connection:
            for table, column, old, new in moved:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))  # noqa: S608
    return len(moved)


def _moved(home: VigiePaths) -> list[tuple[str, str, str, str]]:
    """URIs below another home that belong here: table, column, old and new URI."""
    found = []
    for table, column in _ARTIFACT_URI_COLUMNS:
        for (uri,) in read_rows(home.registry_database, f"SELECT DISTINCT {column} FROM {table}"):  # noqa: S608
            path = _local(uri)
            below = path and BELOW_SOME_HOME.search(str(path))
            if not path or not below or path.is_relative_to(home.registry_artifacts):
                continue
            new = home.registry_artifacts / below[1]
            if table == "experiments" or new.exists():
                found.append((table, column, uri, new.as_uri()))
    return found


def registered_bundles(registry: Path, home: Path) -> Iterator[tuple[str, str]]:
    """Yield each registered version with its bundle's folder: relative to the home, absolute if it lies elsewhere."""
    for name, version, source in read_rows(registry, f"{_VERSIONS} ORDER BY name, version"):
        parts, path = urlsplit(source or ""), _local(source or "")
        path = path and path_here(home / "registry" / "artifacts", path)  # of a home that was moved and not used since
        if parts.scheme == "mlflow-artifacts":
            bundle = f"registry/artifacts/{unquote(parts.path).lstrip('/')}"
        elif path is not None and path.is_relative_to(home):
            bundle = path.relative_to(home).as_posix()
        else:
            bundle = str(path or source)
        yield f"{name} version {version}", bundle


@dataclass(frozen=True, slots=True)
class RegistryFault:
    """Something in the registry that was changed by hand, or lost, and what to do about it."""

    use_case: str
    found: str
    action: str


def find_faults(home: VigiePaths) -> list[RegistryFault]:
    """Find lost or misplaced bundles, aliases that were moved or removed, and deleted experiments.

    Raises:
        VigieError: the database cannot be read.
    """
    database = home.registry_database
    faults = []
    for version, bundle in registered_bundles(database, home.root):
        name = version.partition(" ")[0]
        if Path(bundle).is_absolute() or "://" in bundle:
            action = f"put its files below {home.registry_artifacts}, or delete the version in MLflow"
            faults.append(RegistryFault(name, f"{version} lies outside the home: {bundle}", action))
        elif not (home.root / bundle / "bundle.json").is_file():
            action = "bring its files back, or delete the version in MLflow; ./vigie rollback leaves a broken champion"
            faults.append(RegistryFault(name, f"{version} has no bundle any more: {bundle}", action))
    for (name,) in read_rows(
        database,
        "SELECT name FROM experiments WHERE lifecycle_stage = 'deleted' AND name IN (SELECT name FROM model_versions)",
    ):
        action = f"the next registration brings it back: ./vigie run {name}"
        faults.append(RegistryFault(name, "its experiment was deleted in MLflow", action))
    return [*faults, *_alias_faults(database)]


def _alias_faults(database: Path) -> Iterator[RegistryFault]:
    aliases: dict[str, dict[str, int]] = {}
    for name, alias, version in read_rows(database, "SELECT name, alias, version FROM registered_model_aliases"):
        aliases.setdefault(name, {})[alias] = version
    promoted = {
        (name, version)
        for name, version in read_rows(
            database,
            f"SELECT name, version FROM model_version_tags WHERE key = '{Tag.PROMOTED}'",  # noqa: S608
        )
    }
    known = {(name, version) for name, version, _ in read_rows(database, _VERSIONS)}
    for name in sorted({name for name, _ in known}):
        champion, previous = (aliases.get(name, {}).get(alias) for alias in (CHAMPION, PREVIOUS))
        by_number = f"./vigie models {name} lists the versions: ./vigie promote {name} NUMBER"
        if champion is None and any(owner == name for owner, _ in promoted):
            yield RegistryFault(name, "the alias champion was removed; prediction goes on with the last one", by_number)
        elif champion is not None and (name, champion) not in promoted:
            found = f"version {champion} became champion past ./vigie promote and the gate"
            yield RegistryFault(name, found, f"see that it is the right one; {by_number}")
        if previous is not None and previous == champion:
            yield RegistryFault(name, "previous is the champion itself, so nothing can be rolled back to", by_number)


def _local(uri: str) -> Path | None:
    """The path of a URI on this machine; None for others."""
    parts = urlsplit(uri or "")
    return Path(unquote(parts.path)) if parts.scheme in {"", "file"} and parts.path.startswith("/") else None


def prepare_database(home: VigiePaths) -> None:
    """Create the database if it is missing, under a lock, and point it to this home."""
    database = home.registry_database
    if not database.is_file():
        with FileLock(database.with_suffix(".lock")):
            if not database.is_file():
                _create_database(database)
    follow_home(home)


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
