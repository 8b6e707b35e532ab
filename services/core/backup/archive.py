"""Archives of a platform's files and snapshots of its SQLite databases.

In a container: ``python -m services.core.backup.archive COMMAND DIR``, where COMMAND is ``pack-spools``, ``pack-files``
(to standard output), ``unpack`` (from standard input), ``clear`` or ``count``."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import sys
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from services.core.errors import VigieError
from services.core.paths import VigiePaths

_BUSY_SECONDS = 30.0


def snapshot_database(source: Path, target: Path) -> None:
    """Copy a SQLite database as of one moment, while it is being written."""
    uri = f"file:{quote(str(source))}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def schema_revisions(database: Path) -> list[str]:
    """Return the current migration revisions of the platform's database."""
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]


WAL_FOLDERS = ("audit", "serving/journal")
"""Folders with data on its way into the database; see the package's docstring."""
EXCLUDED = (
    *("run", "logs", "scratch", "locks", "demo", ".restoring"),
    "downloads",  # can be downloaded again
    "serving",  # bundles come from the registry, the auth snapshot from the gateway
    *(
        "database",
        "airflow",
        "registry/authentication.ini",
    ),  # databases have their own snapshots; the rest is created at start
    *(f"registry/{name}.db{end}" for name in ("mlflow", "users") for end in ("", "-wal", "-shm", "-journal")),
    "registry/mlflow.lock",
)
_READ_AT_ONCE_BYTES = 64 * 2**20
"""Files up to this size are read before they are archived, so that a growing one is copied consistently."""
_MAX_ATTEMPTS = 10


def archive_wal(root: Path, stream: IO[bytes]) -> None:
    """Archive data on its way into the database. A file that disappears meanwhile has been delivered."""
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for spool in WAL_FOLDERS:
            _add_tree(archive, root / spool, spool, ())


def archive_files(root: Path, stream: IO[bytes]) -> None:
    """Archive all other files that cannot be recreated. Of each use case one complete published state is included,
    however many are published meanwhile."""
    with pin_states(VigiePaths(root)) as pinned, tarfile.open(fileobj=stream, mode="w|") as archive:
        for use_case, (run, folder) in pinned.items():
            _add_tree(archive, folder, f"states/{use_case}/{run}", ())
            link = tarfile.TarInfo(f"current/{use_case}")
            link.type, link.linkname = tarfile.SYMTYPE, f"../states/{use_case}/{run}"
            archive.addfile(link)
        _add_tree(archive, root, "", (*EXCLUDED, "states", "current", *WAL_FOLDERS))


@contextmanager
def pin_states(home: VigiePaths) -> Iterator[dict[str, tuple[str, Path]]]:
    """Hard-link the current states: use case -> its state's name and the folder of links, which survive pruning of the
    state."""
    folder = home.scratch / f"backup-{uuid.uuid4().hex[:12]}"
    try:
        yield {link.name: _pin(link, folder) for link in sorted((home.root / "current").glob("[!.]*"))}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pin(link: Path, folder: Path) -> tuple[str, Path]:
    for attempt in range(_MAX_ATTEMPTS):
        state, pinned = link.resolve(), folder / f"{link.name}-{attempt}"
        try:
            shutil.copytree(state, pinned, copy_function=os.link, symlinks=True)
        except (FileNotFoundError, shutil.Error):
            if attempt == _MAX_ATTEMPTS - 1:
                raise
        else:
            return state.name, pinned
    raise AssertionError


def _add_tree(archive: tarfile.TarFile, folder: Path, name: str, left_out: tuple[str, ...]) -> None:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        below = f"{name}/{entry.name}" if name else entry.name
        if below in left_out:
            continue
        if entry.is_dir(follow_symlinks=False):
            _add_tree(archive, Path(entry.path), below, left_out)
        else:
            _add_file(archive, Path(entry.path), below)


def _add_file(archive: tarfile.TarFile, file: Path, name: str) -> None:
    """Add a file, unless it has disappeared: a temporary one, or a delivered one of a spool."""
    try:
        if file.is_symlink() or not file.is_file():
            if file.is_symlink():
                archive.addfile(archive.gettarinfo(file, name))
            return
        with file.open("rb") as stream:
            member = archive.gettarinfo(arcname=name, fileobj=stream)
            member.type, member.linkname, member.size = tarfile.REGTYPE, "", os.fstat(stream.fileno()).st_size
            if member.size > _READ_AT_ONCE_BYTES:
                archive.addfile(member, stream)
                return
            content = stream.read(member.size)
    except FileNotFoundError:
        return
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def unpack(root: Path, stream: IO[bytes]) -> None:
    """Extract an archive below ``root``, with the owner's permissions preserved and no write access for others.

    Python's own filter for this came with 3.11.4; older versions are supported.

    Raises:
        VigieError: a member would be written outside of ``root``, or is of a type that backups do not contain.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            _refuse_outside(root, member)
            path = root / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.issym():
                path.symlink_to(member.linkname)
                continue
            content = archive.extractfile(member)
            assert content is not None
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with content, os.fdopen(opened, "wb") as file:
                shutil.copyfileobj(content, file)
            path.chmod(member.mode & 0o755)
            os.utime(path, (member.mtime, member.mtime))


def _refuse_outside(root: Path, member: tarfile.TarInfo) -> None:
    name, link = Path(member.name), Path(member.linkname)
    target = os.path.normpath(name.parent / link) if member.issym() else os.path.normpath(name)
    outside = target.startswith(("/", "..")) or link.is_absolute() or ".." in name.parts
    through_a_link = any((root / parent).is_symlink() for parent in name.parents)
    if outside or through_a_link or not (member.isreg() or member.issym()):
        raise VigieError(f"The archive holds {member.name!r}, which no backup does.", action="Use another backup.")


def clear_folder(root: Path) -> None:
    for path in root.iterdir() if root.is_dir() else ():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def count_files(root: Path) -> int:
    """Count the files."""
    return sum(len(files) for _, _, files in os.walk(root))


def main(arguments: list[str]) -> int:
    match arguments:
        case ["pack-spools", folder]:
            archive_wal(Path(folder), sys.stdout.buffer)
        case ["pack-files", folder]:
            archive_files(Path(folder), sys.stdout.buffer)
        case ["unpack", folder]:
            unpack(Path(folder), sys.stdin.buffer)
        case ["clear", folder]:
            clear_folder(Path(folder))
        case ["count", folder]:
            sys.stdout.write(f"{count_files(Path(folder))}\n")
        case _:
            sys.stderr.write("usage: trees pack-spools|pack-files|unpack|clear|count DIR\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
