"""Lock of a use case's pipeline: one run at a time; waiting runs see who holds it.

A file lock that the run's DVC process inherits: when a run is killed, its stages may still be running, and the lock is
free only when they have ended. The next run kills the stages of a run whose own process is gone."""

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
from services.core.io import atomic_write
from services.core.paths import VigiePaths
from services.core.pipeline.dvc_runner import terminate_group

_POLL_SECONDS = 0.1


@dataclass(slots=True)
class RunLock:
    """A held lock."""

    descriptor: int
    _holder: Path
    _said: dict[str, str | int]

    def runs(self, process_id: int) -> None:
        """Record the DVC process that inherited the lock."""
        self._said["child"] = process_id
        _write_holder(self._holder, self._said)


@contextmanager
def run_lock(
    home: VigiePaths,
    use_case: str,
    purpose: str,
    *,
    wait_seconds: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Iterator[RunLock]:
    """Acquire the use case's lock; without ``wait_seconds`` there is no timeout.

    Raises:
        VigieError: timeout; the message names the holder.
    """
    path = home.lock(use_case)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".json")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, holder, use_case, wait_seconds, progress)
        holder_info: dict[str, str | int] = {
            "place": _process_namespace(),
            "process": os.getpid(),
            "purpose": purpose,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _write_holder(holder, holder_info)
        yield RunLock(descriptor, holder, holder_info)
        holder.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _acquire(
    descriptor: int,
    holder: Path,
    use_case: str,
    wait_seconds: float | None,
    progress: Callable[[str], None] | None,
) -> None:
    started = time.monotonic()
    shown = ""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            who = _terminate_orphans(_read_holder(holder))
        if wait_seconds is not None and time.monotonic() - started >= wait_seconds:
            raise VigieError(f"Another run of {use_case} is at work: {who}.", action="Wait for it to end, or stop it.")
        if progress is not None and who != shown:
            progress(f"waiting for another run of {use_case}: {who}")
            shown = who
        time.sleep(_POLL_SECONDS)


def _terminate_orphans(holder_info: dict[str, str | int]) -> str:
    """Describe the holder. If its process is gone, terminate the DVC process that inherited the lock, since its result
    would never be used."""
    process, child = holder_info.get("process"), holder_info.get("child")
    here = holder_info.get("place") == _process_namespace()
    if here and isinstance(process, int) and isinstance(child, int) and not _is_alive(process):
        terminate_group(child)
    return (
        f"{holder_info.get('purpose', 'unknown')} in process {process} since {holder_info.get('since', 'a moment ago')}"
    )


def _process_namespace() -> str:
    """Return the namespace in which process ids are unique: containers that share a volume have their own."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().as_posix()
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}"


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read_holder(path: Path) -> dict[str, str | int]:
    try:
        content: dict[str, str | int] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content


def _write_holder(path: Path, holder_info: dict[str, str | int]) -> None:
    atomic_write(path, json.dumps(holder_info))
