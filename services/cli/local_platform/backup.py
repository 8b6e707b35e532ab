"""Backup and restore of a platform of local processes: SQLite databases and the files below the home."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from services.cli.console import step
from services.cli.local_platform.supervisor import Supervisor
from services.core.backup import archive as sqlite
from services.core.backup import archive as trees
from services.core.backup import manifest
from services.core.errors import VigieError
from services.core.model_registry import sqlite_backend
from services.core.paths import VigiePaths
from services.core.settings import Settings

WAL_ARCHIVE, FILES_ARCHIVE = "files/home.spools.tar", "files/home.tar"


def databases(home: VigiePaths) -> dict[str, Path]:
    """Databases in the order in which they are copied, so that references to later ones resolve."""
    return {
        "airflow": home.root / "airflow" / "airflow.db",
        "vigie": home.database,
        "mlflow": home.registry_database,
        "users": home.registry_database.with_name("users.db"),
    }


def backup_home(chosen: Settings, folder: Path) -> manifest.BackupManifest:
    """Write a backup of the home to ``folder``, which the caller has created.

    Raises:
        VigieError: there is nothing to back up, or a version's bundle is missing.
    """
    home = chosen.home
    sqlite_backend.follow_home(home)
    if chosen.database_url is not None and not chosen.database_url.startswith("sqlite"):
        raise VigieError(
            "The platform's database is no SQLite file.",
            expected="a platform started with ./vigie up, or --compose for one in Docker",
            action="Copy a PostgreSQL of your own with pg_dump, before the files below the home.",
        )
    present = {name: file for name, file in databases(home).items() if file.is_file()}
    if not present and not home.root.joinpath("current").is_dir():
        raise VigieError(f"{home.root} holds no platform.", action="Set VIGIE_HOME to its folder.")
    for name in ("files", "databases"):
        (folder / name).mkdir()
    with step("what is on its way into the database"), (folder / WAL_ARCHIVE).open("wb") as stream:
        trees.archive_wal(home.root, stream)
    for name, file in present.items():
        with step(f"database {name}"):
            sqlite.snapshot_database(file, folder / "databases" / f"{name}.db")
    with step("files"), (folder / FILES_ARCHIVE).open("wb") as stream:
        trees.archive_files(home.root, stream)
    if "mlflow" in present:
        _every_version_has_its_bundle(folder, home.root)
    revisions = sqlite.schema_revisions(folder / "databases" / "vigie.db") if "vigie" in present else []
    return manifest.write_backup_manifest(folder, kind="local", revisions=revisions, home=str(home.root))


def _every_version_has_its_bundle(folder: Path, home: Path) -> None:
    with tarfile.open(folder / FILES_ARCHIVE) as archive:
        names = set(archive.getnames())
    for version, bundle in sqlite_backend.registered_bundles(folder / "databases" / "mlflow.db", home):
        if Path(bundle).is_absolute():
            raise VigieError(
                f"The backup would not be whole: {version} lies outside the home, at {bundle}.",
                action="Put its files below the home, or delete the version in MLflow; then make the backup again.",
            )
        if f"{bundle}/bundle.json" not in names:
            raise VigieError(
                f"{version} has no bundle any more: {bundle} is not there.",
                action="Delete the version in MLflow, or bring its files back; then make the backup again.",
            )


def restore_home(chosen: Settings, folder: Path, *, force: bool) -> manifest.BackupManifest:
    """Restore the home to the state of the backup.

    Raises:
        VigieError: the backup is damaged or of a newer version, the platform is running, or the home is not empty.
    """
    home = chosen.home
    with step("the backup is whole"):
        found = manifest.read_verified_manifest(folder, kind="local")
    if Supervisor(home).pid() is not None:
        raise VigieError(f"A platform runs in {home.root}.", action="Stop it with ./vigie down.")
    beside = home.root / ".restoring"
    shutil.rmtree(beside, ignore_errors=True)
    if trees.count_files(home.root) and not force:
        raise VigieError(
            f"{home.root} is not empty.",
            expected="an empty or new folder",
            action="Set VIGIE_HOME to one, or use --force to replace what is there.",
        )
    with step("files"):
        for name in (FILES_ARCHIVE, WAL_ARCHIVE):
            with (folder / name).open("rb") as stream:
                trees.unpack(beside, stream)
    with step("databases"):
        _restore_databases(folder, VigiePaths(beside))
        if found.home != str(home.root) and VigiePaths(beside).registry_database.is_file():
            sqlite_backend.rewrite_artifact_uris(VigiePaths(beside).registry_database, found.home, str(home.root))
    for path in home.root.iterdir():
        if path != beside:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in beside.iterdir():
        path.rename(home.root / path.name)
    beside.rmdir()
    return found


def _restore_databases(folder: Path, home: VigiePaths) -> None:
    for name, file in databases(home).items():
        copied = folder / "databases" / f"{name}.db"
        if copied.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copied, file)
