"""One run of a use case at a time; others wait and know for whom.

The lock is a file lock that the run's DVC process inherits: when a run is killed, its stages may
still be at work, and the lock is free only when they have ended. Whoever comes next and finds the
run's own process gone ends what it left behind.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.core.errors import VigieError
from services.core.home import Home
from services.core.io import atomic_write
from services.core.pipeline.dvc_process import end_group

_POLL_SECONDS = 0.1


@dataclass(slots=True)
class Turn:
    """A held lock."""

    descriptor: int
    _holder: Path
    _said: dict[str, str | int]

    def runs(self, process_id: int) -> None:
        """Note the DVC process that inherited the lock."""
        self._said["child"] = process_id
        _write(self._holder, self._said)


@contextmanager
def turn(
    home: Home,
    use_case: str,
    purpose: str,
    *,
    wait_seconds: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Turn]:
    """Wait for the use case's lock and hold it; without ``wait_seconds`` as long as it takes.

    Raises:
        VigieError: it was not free in time; says who holds it.
    """
    path = home.lock(use_case)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".json")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, holder, use_case, wait_seconds, progress)
        said: dict[str, str | int] = {
            "place": _place(),
            "process": os.getpid(),
            "purpose": purpose,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _write(holder, said)
        yield Turn(descriptor, holder, said)
        holder.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _take(
    descriptor: int,
    holder: Path,
    use_case: str,
    wait_seconds: float | None,
    progress: Callable[[str], None] | None,
) -> None:
    started = time.monotonic()
    told = ""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            who = _end_orphans(_read(holder))
        if wait_seconds is not None and time.monotonic() - started >= wait_seconds:
            raise VigieError(f"Another run of {use_case} is at work: {who}.", action="Wait for it to end, or stop it.")
        if progress is not None and who != told:
            progress(f"waiting for another run of {use_case}: {who}")
            told = who
        time.sleep(_POLL_SECONDS)


def _end_orphans(said: dict[str, str | int]) -> str:
    """Who holds the lock. Where its process is gone, only the DVC process that it started can still
    hold it, and nobody waits for that one's result."""
    process, child = said.get("process"), said.get("child")
    here = said.get("place") == _place()
    if here and isinstance(process, int) and isinstance(child, int) and not _alive(process):
        end_group(child)
    return f"{said.get('purpose', 'unknown')} in process {process} since {said.get('since', 'a moment ago')}"


def _place() -> str:
    """Where a process id means something: containers that share a volume do not share ids."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().as_posix()
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}"


def _alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> dict[str, str | int]:
    try:
        content: dict[str, str | int] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content


def _write(path: Path, said: dict[str, str | int]) -> None:
    atomic_write(path, json.dumps(said))
