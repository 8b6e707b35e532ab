"""Trees of processes on Linux: holding a tree together, weighing it and ending it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import psutil

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36


def adopt_orphans() -> None:
    """Whatever a descendant of this process leaves behind becomes its child, so that none gets away."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """End this process when ``parent``, which started it, ends, however that happens."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def give_way() -> None:
    """Let this process come last: services on the same machine go first, and where memory runs out the
    system ends this one and not the service."""
    os.nice(5)
    with contextlib.suppress(OSError):  # not Linux, or not allowed
        Path("/proc/self/oom_score_adj").write_text("1000")


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def resident_bytes() -> int:
    """Resident memory of all descendants together; pages that they share count for each."""
    total = 0
    for process in descendants():
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def end_descendants(seconds: float = 10.0) -> None:
    """Kill all descendants and wait until they are gone. Those that start new ones meanwhile are stopped first."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = [process for process in descendants() if _alive(process)]
        for kind in (signal.SIGSTOP, signal.SIGKILL):
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(kind)
        reap()
        if not found:
            return
        time.sleep(0.02)


def reap() -> None:
    """Take note of ended children, so that they do not stay as zombies."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
