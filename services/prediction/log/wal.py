"""The write-ahead log (WAL): each answer is on disk before it is sent.

A record costs one ``write`` to an open file and survives the process. Each process owns one folder by a file lock;
folders of dead processes are claimed by others. A failing log never stops an answer: its records are counted as
dropped."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from services.core.prediction_log.records import Record, decode_record


class UnreadableRecord(NamedTuple):
    line: bytes
    reason: str


class WalSegment(NamedTuple):
    records: list[Record]
    unreadable: list[UnreadableRecord]
    torn: bool
    """Whether the last line is incomplete: its answer was never sent, because the record is written first."""


def read_segment(path: Path) -> WalSegment:
    """Read the records of a segment.

    Raises:
        OSError: the file cannot be read.
    """
    *lines, rest = path.read_bytes().split(b"\n")
    return _decode_lines(lines, torn=bool(rest))


def _decode_lines(lines: Sequence[bytes], *, torn: bool) -> WalSegment:
    records: list[Record] = []
    unreadable: list[UnreadableRecord] = []
    for line in lines:
        if not line:
            continue
        try:
            records.append(decode_record(line))
        except ValueError as error:
            unreadable.append(UnreadableRecord(line, str(error).splitlines()[0]))
    return WalSegment(records, unreadable, torn)


LOCK_FILE = "lock"
SEGMENT_SUFFIX = ".jsonl"
DEAD_LETTER_FOLDER = "dead-letters"
_STALE_SECONDS = 3_600.0


class LockedFolder:
    """A WAL folder whose lock this process holds."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def segments(self) -> list[Path]:
        """Paths of the segments in write order. Folders and links that somebody put here are none."""
        entries = (path for path in self.path.glob(f"*{SEGMENT_SUFFIX}") if path.is_file() and not path.is_symlink())
        return sorted(entries)

    def release(self, *, remove: bool = False) -> None:
        """Release the lock; with ``remove`` the folder is deleted first, so that nobody claims it half deleted."""
        if remove:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._descriptor)


def create_folder(root: Path) -> LockedFolder:
    """Create and lock a new folder below ``root``.

    Raises:
        OSError: the disk is full, read-only or missing.
    """
    while True:
        path = root / f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid4().hex[:8]}"
        path.mkdir(parents=True)
        held = _lock_folder(path, create=True)
        if held is not None:
            return held


def claim_orphan_folders(root: Path) -> Iterator[LockedFolder]:
    """Claim the folders of processes that have ended."""
    with suppress(FileNotFoundError):
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.is_symlink() and path.name != DEAD_LETTER_FOLDER:
                held = _lock_folder(path, create=False)
                if held is not None:
                    yield held
                elif time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    # Its process was killed between creating the folder and locking it.
                    with suppress(OSError):
                        path.rmdir()


def _lock_folder(path: Path, *, create: bool) -> LockedFolder | None:
    """Lock the folder; None if another process holds it. Between opening and locking the lock file another process
    may have held and deleted the folder: then the opened file is no longer the folder's lock file."""
    lock = path / LOCK_FILE
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    except OSError:  # without a lock file, or one that somebody made a folder: nobody's journal
        if create:
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), lock.stat()):
            return LockedFolder(path, descriptor)
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


class WriteAheadLog:
    """Append-only log in segments. Written by the event loop and batch threads, sealed by the shipper's thread.

    Args:
        limit_bytes: largest size on disk; records beyond it are dropped.
        segment_bytes: size after which a new segment is started.
    """

    def __init__(self, root: Path, *, limit_bytes: int, segment_bytes: int) -> None:
        self.root = root
        self.written = 0
        self.dropped = 0
        self.orphan_bytes = 0
        """Size of the folders of dead processes; updated by the shipper."""
        self.limit_bytes = limit_bytes
        self._segment_limit = segment_bytes
        self._lock = threading.Lock()
        self._folder: LockedFolder | None = None
        self._descriptor: int | None = None
        self._open: Path | None = None
        self._size = 0
        self._sealed_bytes = 0
        self._number = 0
        self._since: float | None = None
        self._trouble = ""

    @property
    def waiting_bytes(self) -> int:
        return self._size + self._sealed_bytes + self.orphan_bytes

    @property
    def last_error(self) -> str:
        """Why the last record was not written, otherwise empty; reopening the log does not change it."""
        return self._trouble

    def open(self) -> bool:
        """Lock a folder and start a segment; idempotent. Never raises: False means that the disk refused, and a later
        call may succeed."""
        with self._lock:
            try:
                if self._folder is None:
                    self._folder = create_folder(self.root)
                if self._descriptor is None:
                    self._begin(self._folder)
            except OSError as error:
                self._trouble = str(error)
                return False
            return True

    def write(self, lines: bytes, count: int = 1) -> bool:
        """Append complete lines; False if they could not be written."""
        with self._lock:
            descriptor = self._descriptor
            if descriptor is None or self.waiting_bytes + len(lines) > self.limit_bytes:
                self._trouble = self._trouble or "the journal is full"
                self.dropped += count
                return False
            try:
                taken = os.write(descriptor, lines)
                if taken != len(lines):
                    raise OSError(f"only {taken} of {len(lines)} bytes were written")
            except OSError as error:
                self._abandon(descriptor, error)
                self.dropped += count
                return False
            if self._since is None:
                self._since = time.time()
            self._size += taken
            self._trouble = ""
            self.written += count
            if self._size >= self._segment_limit:
                self._follow()
            return True

    def seal(self) -> list[Path]:
        """Finish the open segment if it has records, start another one, and return the finished ones.

        Raises:
            OSError: the folder cannot be read.
        """
        with self._lock:
            if self._size:
                self._follow()
            folder, newest = self._folder, self._open
        return [] if folder is None else [path for path in folder.segments() if path != newest]

    def delivered(self, path: Path) -> None:
        """Delete a finished segment after its records are in the database.

        Raises:
            OSError: it cannot be deleted.
        """
        size = path.stat().st_size
        path.unlink()
        with self._lock:
            self._sealed_bytes = max(0, self._sealed_bytes - size)

    def oldest_seconds(self) -> float:
        """Age of the oldest record in seconds; 0 without any."""
        oldest = self._since
        folder, newest = self._folder, self._open
        with suppress(OSError):
            for path in [] if folder is None else folder.segments():
                if path != newest:
                    modified = path.stat().st_mtime
                    oldest = modified if oldest is None else min(oldest, modified)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    def segments(self) -> int:
        """Number of segments, including the open one."""
        folder = self._folder
        with suppress(OSError):
            return 0 if folder is None else len(folder.segments())
        return 0

    def close(self) -> None:
        """Stop writing. Undelivered segments stay on disk for the next process; an empty folder is deleted."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            if self._folder is not None:
                with suppress(OSError):
                    if self._open is not None and self._open.stat().st_size == 0:
                        self._open.unlink()
                left: list[Path] = []
                with suppress(OSError):
                    left = self._folder.segments()
                self._folder.release(remove=not left)
                self._folder = None

    def _begin(self, folder: LockedFolder) -> None:
        self._number += 1
        path = folder.path / f"{self._number:010d}{SEGMENT_SUFFIX}"
        # Append mode, so that a truncated line can be removed without moving a position.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._open = path
        self._size = 0
        self._since = None

    def _follow(self) -> None:
        """Finish the open segment and start the next."""
        assert self._folder is not None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._sealed_bytes += self._size
        self._size, self._open, self._since = 0, None, None
        try:
            self._begin(self._folder)
        except OSError as error:
            self._trouble = str(error)

    def _abandon(self, descriptor: int, error: OSError) -> None:
        """Handle a failed write. What was written of the line is truncated, or else readers detect it as torn;
        the shipper's thread reopens the log."""
        self._trouble = str(error)
        with suppress(OSError):
            os.ftruncate(descriptor, self._size)
        with suppress(OSError):
            os.close(descriptor)
        self._sealed_bytes += self._size
        self._descriptor, self._open, self._size, self._since = None, None, 0, None
