"""Files that others read: atomic writes, and cells that no spreadsheet runs.

A reader of an atomic write sees the old or the new content, never a part of it.

New content is written beside its final path and renamed. A process killed before the rename leaves the old content, and
beside it a hidden ``.<name>.<random>.part`` (a folder: ``.<name>.part``) that nothing reads."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from services.core.errors import VigieError

_NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
}
"""Error code of SQLite -> that of the system."""


def atomic_write(
    path: Path,
    content: str | bytes | Callable[[BinaryIO], object],
    *,
    mode: int | None = None,
    durable: bool = False,
) -> None:
    """Replace ``path`` with ``content``; missing parent folders are created.

    Args:
        path: the file to write.
        content: text (stored as UTF-8), bytes, or a function that writes to the open file.
        mode: the file's permissions from its creation on; by default those of any new file.
        durable: fsync, for data that must survive a power cut.

    Raises:
        OSError: the disk does not accept it. The old file stays.
    """
    with replacing(path, durable=durable) as beside:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None:
                os.fchmod(descriptor, mode)  # independent of the umask
            if callable(content):
                content(stream)
            else:
                stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a path beside ``path`` for the block to create a file or link at. It replaces ``path`` when the block ends,
    and is removed if the block fails. ``durable`` as in ``atomic_write``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield beside
        if durable:
            with beside.open("rb") as stream:
                os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` for the block to fill. It replaces ``path`` when the block ends, and is
    removed if the block fails. One process at a time: leftovers of a killed one are removed first."""
    beside = path.with_name(f".{path.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        shutil.rmtree(path, ignore_errors=True)
        beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def disk_error(error: BaseException, place: Path | None = None) -> VigieError | None:
    """Explain an error of a disk that is full, read-only or somebody else's.

    Args:
        error: of the system, of SQLite, or one that was raised from such.
        place: what was written, for errors that do not name it.

    Returns:
        What could not be written, why, and how much is free there; None for every other error.
    """
    code, file = _system_error(error)
    if code is None:
        inner = getattr(error, "orig", None) or error.__cause__  # SQLAlchemy's own, and those that were translated
        return disk_error(inner, place) if isinstance(inner, BaseException) else None
    path = Path(file or place or ".").absolute()
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    what = path if file or place else "A file"
    return VigieError(
        f"{what} cannot be written: {os.strerror(code)} ({shutil.disk_usage(there).free / 2**20:,.0f} MiB free there).",
        action="Make room there, or set VIGIE_HOME to another disk."
        if code in _FULL
        else "Choose a folder that you may write to; VIGIE_HOME names the home.",
    )


def _system_error(error: BaseException) -> tuple[int | None, str | None]:
    """The system's code and the file of an error of the disk; (None, None) for others."""
    if isinstance(error, shutil.Error):  # many files, each with (from, to, why)
        whys = [str(why) for _, _, why in error.args[0]]
        code = next((code for code in (*_FULL, *_NOT_WRITABLE) if any(os.strerror(code) in why for why in whys)), None)
        return code, str(error.args[0][0][1])
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF), None
    if isinstance(error, OSError) and error.errno in {*_FULL, *_NOT_WRITABLE, errno.EIO}:
        return error.errno, error.filename2 or error.filename
    return None, None


_FORMULA = re.compile('(^|[;,|\\t\\r\\n])(["\\s]*)(?=[=+\\-@＝＋－＠])')
_STARTS = ("\t", "\r", "\n")


def without_formulas(text: str) -> str:
    """Text that no spreadsheet takes for a formula, whichever separator splits it: an apostrophe before each sign that
    would begin one, at the start and behind separators and line breaks. Quoting does not help: a spreadsheet that
    splits at another separator does not see the quotes."""
    safe = _FORMULA.sub(r"\1\2'", text)
    return "'" + safe if safe.startswith(_STARTS) else safe
