"""Atomic writes: a reader sees the old content or the new one, never a part of it.

What is new is written beside its final path and renamed. A process that is killed before the rename leaves the old
content, and beside it a hidden ``.<name>.<random>.part`` (a folder: ``.<name>.part``) that nobody reads.
"""

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
    """Replace ``path`` with ``content``; folders above it are made.

    Args:
        content: a text (stored as UTF-8), bytes, or a function that writes to the open file.
        mode: permissions of the file, from its first moment on; by default those of any new file.
        durable: wait until the disk has it, for what must outlive a power cut.

    Raises:
        OSError: the disk does not take it. The old file stays.
    """
    with replacing(path, durable=durable) as beside:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None:
                os.fchmod(descriptor, mode)  # whatever the umask is
            if callable(content):
                content(stream)
            else:
                stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path beside ``path`` for the block to make a file or a link at; it takes the place of ``path`` when the block
    ends, and is removed where it fails. ``durable`` as in ``atomic_write``."""
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
    """An empty folder beside ``path`` for the block to fill; it takes the place of ``path`` when the block ends, and is
    removed where it fails. One process at a time: what a killed one left is removed first."""
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
    """SHA-256 of a file's content, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
