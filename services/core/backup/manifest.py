"""Manifest of a backup: written last, so a folder without one is incomplete; verified before a restore."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

from alembic.script import ScriptDirectory
from packaging.version import Version
from pydantic import BaseModel, Field, ValidationError

from services.core.database.migrate import MIGRATIONS
from services.core.errors import VigieError
from services.core.io import atomic_write

MANIFEST_NAME, BACKUP_FORMAT = "manifest.json", 1
PlatformKind = Literal["local", "compose"]
PACKAGES_WITH_SCHEMA = ("vigie", "mlflow", "apache-airflow")


class BackupManifest(BaseModel):
    """Contents and origin of a backup, with a hash per file."""

    format: int = BACKUP_FORMAT
    made: datetime
    kind: PlatformKind
    home: str = ""
    """Home of a local platform: MLflow's database contains this path in its artifact URIs."""
    schema_revisions: list[str]
    """Current migration revisions of the platform's database."""
    versions: dict[str, str]
    """Versions of packages with databases of their own."""
    files: dict[str, str] = Field(min_length=1)
    """Path below the backup -> SHA-256."""


def write_backup_manifest(folder: Path, *, kind: PlatformKind, revisions: list[str], home: str = "") -> BackupManifest:
    """Write the manifest of the backup in ``folder``."""
    manifest = BackupManifest(
        made=datetime.now(UTC),
        kind=kind,
        home=home,
        schema_revisions=sorted(revisions),
        versions=installed_versions(),
        files={str(file.relative_to(folder)): file_digest(file) for file in sorted(_files(folder))},
    )
    atomic_write(folder / MANIFEST_NAME, manifest.model_dump_json(indent=2), durable=True)
    return manifest


def read_verified_manifest(folder: Path, *, kind: PlatformKind) -> BackupManifest:
    """Verify a backup and return its manifest.

    Raises:
        VigieError: the backup is incomplete or changed, or of another kind or release.
    """
    try:
        manifest = BackupManifest.model_validate_json((folder / MANIFEST_NAME).read_text())
    except (OSError, ValidationError) as error:
        why = error.strerror or "cannot be read" if isinstance(error, OSError) else "damaged"
        raise VigieError(
            f"{folder} is no backup: {MANIFEST_NAME}: {why}.",
            expected="a folder that ./vigie backup finished",
        ) from error
    if manifest.kind != kind:
        raise VigieError(f"{folder} is of a {manifest.kind} platform.", expected=f"a backup of a {kind} platform")
    there = {str(file.relative_to(folder)) for file in _files(folder)}
    if missing := sorted(set(manifest.files) - there):
        raise VigieError(f"The backup is not whole: {', '.join(missing)} is missing.", action="Use another backup.")
    for name, expected in manifest.files.items():
        if file_digest(folder / name) != expected:
            raise VigieError(f"{name} has changed since the backup was made.", action="Use another backup.")
    _refuse_newer(manifest)
    return manifest


def _refuse_newer(manifest: BackupManifest) -> None:
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    newer = [f"schema {revision}" for revision in manifest.schema_revisions if revision not in known]
    here = installed_versions()
    newer += [
        f"{package} {version}"
        for package, version in manifest.versions.items()
        if package in here and Version(version) > Version(here[package])
    ]
    if newer or manifest.format > BACKUP_FORMAT:
        raise VigieError(
            f"The backup is of a newer platform: {', '.join(newer) or f'format {manifest.format}'}.",
            action="Restore it with the version that made it, or a later one.",
        )


def installed_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES_WITH_SCHEMA:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST_NAME]
