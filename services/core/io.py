"""Atomic writes: a reader sees the old or the new content, never a part of it.

New content is written beside its final path and renamed. A process killed before the rename leaves the old content, and
beside it a hidden ``.<name>.<random>.part`` (a folder: ``.<name>.part``) that nothing reads."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


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
