"""A tree of files as one tar archive and back. In a container: ``python -m services.core.backup.trees COMMAND
DIR``, where COMMAND is ``pack-spools``, ``pack-files`` (to standard output), ``unpack`` (from standard input),
``clear`` or ``count``."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from services.core.home import Home

SPOOLS = ("audit", "serving/journal")
"""On their way into the database: see the package."""
LEFT_OUT = (
    *("run", "logs", "scratch", "locks", "demo", ".restoring"),
    "downloads",  # fetched again
    "serving",  # bundles that the registry has, and the access list that the gateway has
    *(
        "database",
        "airflow",
        "registry/authentication.ini",
    ),  # databases are copied by themselves; the rest is made at start
    *(f"registry/{name}.db{end}" for name in ("mlflow", "users") for end in ("", "-wal", "-shm", "-journal")),
    "registry/mlflow.lock",
)
_WHOLE = 64 * 2**20
"""Files up to this size are read before they are written, so that one that grows meanwhile is copied as it was."""
_TRIES = 10


def pack_spools(root: Path, stream: IO[bytes]) -> None:
    """Write what is on its way into the database. A file that goes meanwhile has been delivered."""
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for spool in SPOOLS:
            _add_tree(archive, root / spool, spool, ())


def pack_files(root: Path, stream: IO[bytes]) -> None:
    """Write everything else that cannot be made again. Each use case's published state is one that was current,
    whole, however many are published meanwhile."""
    with pinned_states(Home(root)) as pinned, tarfile.open(fileobj=stream, mode="w|") as archive:
        for use_case, (run, folder) in pinned.items():
            _add_tree(archive, folder, f"states/{use_case}/{run}", ())
            link = tarfile.TarInfo(f"current/{use_case}")
            link.type, link.linkname = tarfile.SYMTYPE, f"../states/{use_case}/{run}"
            archive.addfile(link)
        _add_tree(archive, root, "", (*LEFT_OUT, "states", "current", *SPOOLS))


@contextmanager
def pinned_states(home: Home) -> Iterator[dict[str, tuple[str, Path]]]:
    """Use case -> its current state's name and a folder of hard links to its files, which stay when the state
    itself is pruned."""
    folder = home.scratch / f"backup-{uuid.uuid4().hex[:12]}"
    try:
        yield {link.name: _pin(link, folder) for link in sorted((home.root / "current").glob("[!.]*"))}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pin(link: Path, folder: Path) -> tuple[str, Path]:
    for attempt in range(_TRIES):
        state, pinned = link.resolve(), folder / f"{link.name}-{attempt}"
        try:
            shutil.copytree(state, pinned, copy_function=os.link, symlinks=True)
        except (FileNotFoundError, shutil.Error):
            if attempt == _TRIES - 1:
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
    """Add a file, unless it has gone: a temporary one, or a spool's that was delivered."""
    try:
        if file.is_symlink() or not file.is_file():
            if file.is_symlink():
                archive.addfile(archive.gettarinfo(file, name))
            return
        with file.open("rb") as stream:
            member = archive.gettarinfo(arcname=name, fileobj=stream)
            member.type, member.linkname, member.size = tarfile.REGTYPE, "", os.fstat(stream.fileno()).st_size
            if member.size > _WHOLE:
                archive.addfile(member, stream)
                return
            content = stream.read(member.size)
    except FileNotFoundError:
        return
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def unpack(root: Path, stream: IO[bytes]) -> None:
    """Write an archive's files below ``root``. Nothing is written anywhere else, whatever the archive says."""
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        archive.extractall(root, filter="data")


def clear(root: Path) -> None:
    for path in root.iterdir() if root.is_dir() else ():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def count(root: Path) -> int:
    """How many files there are."""
    return sum(len(files) for _, _, files in os.walk(root))


def main(arguments: list[str]) -> int:
    match arguments:
        case ["pack-spools", folder]:
            pack_spools(Path(folder), sys.stdout.buffer)
        case ["pack-files", folder]:
            pack_files(Path(folder), sys.stdout.buffer)
        case ["unpack", folder]:
            unpack(Path(folder), sys.stdin.buffer)
        case ["clear", folder]:
            clear(Path(folder))
        case ["count", folder]:
            sys.stdout.write(f"{count(Path(folder))}\n")
        case _:
            sys.stderr.write("usage: trees pack-spools|pack-files|unpack|clear|count DIR\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
