"""Folders of journals: one for each living process, held by a file lock that ends with the process, and
those that dead ones left behind.

Replicas share the folder above. Two of them never hold the same one, and a folder is removed only by
who holds it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

LOCK = "lock"
SUFFIX = ".jsonl"
DEAD_LETTERS = "dead-letters"
_STALE_SECONDS = 3_600.0


class HeldFolder:
    """A journal's folder whose lock this process holds."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def segments(self) -> list[Path]:
        """In the order in which they were written."""
        return sorted(path for path in self.path.iterdir() if path.suffix == SUFFIX)

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; with ``remove`` the folder goes first, so that nobody takes it half gone."""
        if remove:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._descriptor)


def take_new(root: Path) -> HeldFolder:
    """A new folder below ``root``.

    Raises:
        OSError: the disk is full, read-only or not there.
    """
    while True:
        path = root / f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid4().hex[:8]}"
        path.mkdir(parents=True)
        held = _hold(path, create=True)
        if held is not None:
            return held


def adopt(root: Path) -> Iterator[HeldFolder]:
    """The folders of processes that have ended."""
    with suppress(FileNotFoundError):
        for path in sorted(root.iterdir()):
            if path.is_dir() and path.name != DEAD_LETTERS:
                held = _hold(path, create=False)
                if held is not None:
                    yield held
                elif time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    # Its process was killed between making the folder and locking it.
                    with suppress(OSError):
                        path.rmdir()


def _hold(path: Path, *, create: bool) -> HeldFolder | None:
    """The folder if nobody holds it. Between opening the lock file and locking it another process may have
    held the folder and removed it: then the file is no longer the one that the folder has."""
    lock = path / LOCK
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), lock.stat()):
            return HeldFolder(path, descriptor)
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
