"""The journal: every answer is on disk before it leaves.

A record costs one ``write`` to a file that is open already. What the kernel has taken survives the process,
however it ends. ``delivery`` brings finished segments into the database and removes them. A journal that
cannot be written to never stops an answer: its records are counted as dropped.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import structlog

from services.prediction.journal_folders import SUFFIX, HeldFolder, take_new

log = structlog.get_logger(__name__)


class Journal:
    """Written by the event loop and by batch threads, sealed by the delivery's thread.

    Args:
        limit_bytes: what may wait on disk; records beyond it are dropped.
        segment_bytes: a segment that has grown so far is followed by another one.
    """

    def __init__(self, root: Path, *, limit_bytes: int, segment_bytes: int) -> None:
        self.root = root
        self.written = 0
        self.dropped = 0
        self.adopted_bytes = 0
        """What waits in the folders of dead processes; kept up to date by the delivery."""
        self.limit_bytes = limit_bytes
        self._segment_limit = segment_bytes
        self._lock = threading.Lock()
        self._folder: HeldFolder | None = None
        self._descriptor: int | None = None
        self._open: Path | None = None
        self._size = 0
        self._sealed_bytes = 0
        self._number = 0
        self._since: float | None = None
        self._trouble = ""

    @property
    def waiting_bytes(self) -> int:
        return self._size + self._sealed_bytes + self.adopted_bytes

    @property
    def trouble(self) -> str:
        """Why nothing can be written at the moment, else empty."""
        return self._trouble

    def open(self) -> bool:
        """Take a folder and begin a segment; harmless where that is done. Never fails: False says that the
        disk did not let it, and it can be tried again."""
        with self._lock:
            try:
                if self._folder is None:
                    self._folder = take_new(self.root)
                if self._descriptor is None:
                    self._begin(self._folder)
            except OSError as error:
                self._trouble = str(error)
                return False
            return True

    def write(self, lines: bytes, count: int = 1) -> bool:
        """Append whole lines; False where they could not be kept."""
        with self._lock:
            descriptor = self._descriptor
            if descriptor is None or self.waiting_bytes + len(lines) > self.limit_bytes:
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
            self.written += count
            if self._size >= self._segment_limit:
                self._follow()
            return True

    def seal(self) -> list[Path]:
        """End the open segment if there is something in it, begin another one, and say which are finished.

        Raises:
            OSError: the folder cannot be read.
        """
        with self._lock:
            if self._size:
                self._follow()
            folder, newest = self._folder, self._open
        return [] if folder is None else [path for path in folder.segments() if path != newest]

    def delivered(self, path: Path) -> None:
        """Forget a finished segment.

        Raises:
            OSError: it cannot be removed.
        """
        size = path.stat().st_size
        path.unlink()
        with self._lock:
            self._sealed_bytes = max(0, self._sealed_bytes - size)

    def oldest_seconds(self) -> float:
        """How long the oldest record has waited; 0 without any."""
        oldest = self._since
        folder, newest = self._folder, self._open
        with suppress(OSError):
            for path in [] if folder is None else folder.segments():
                if path != newest:
                    modified = path.stat().st_mtime
                    oldest = modified if oldest is None else min(oldest, modified)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    def segments(self) -> int:
        """Files, the open one included."""
        folder = self._folder
        with suppress(OSError):
            return 0 if folder is None else len(folder.segments())
        return 0

    def close(self) -> None:
        """Stop writing. What is left stays on disk for the next process; an empty folder goes."""
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

    def _begin(self, folder: HeldFolder) -> None:
        self._number += 1
        path = folder.path / f"{self._number:010d}{SUFFIX}"
        # Appending, so that a line that was cut off can be taken back without moving a position.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._open = path
        self._size = 0
        self._since = None
        self._trouble = ""

    def _follow(self) -> None:
        """Finish the open segment and begin the next."""
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
        """The disk refused. What got through of the line is cut off, or else the reader sees that it is torn;
        the delivery's thread opens the journal again."""
        self._trouble = str(error)
        with suppress(OSError):
            os.ftruncate(descriptor, self._size)
        with suppress(OSError):
            os.close(descriptor)
        self._sealed_bytes += self._size
        self._descriptor, self._open, self._size, self._since = None, None, 0, None
