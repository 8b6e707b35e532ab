"""Memory groups of Linux, of the size that Compose gives a service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOTS = {
    Path("/sys/fs/cgroup/memory"): ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    Path("/sys/fs/cgroup"): ("memory.max", "memory.swap.max"),
}


@contextmanager
def memory_group(name: str, size: int) -> Iterator[Callable[[int], None] | None]:
    """A function that puts a process into a group of ``size`` bytes; None where this machine lets nobody make one."""
    for root, (limit, swap) in ROOTS.items():
        folder = root / name
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(size))
            with suppress(OSError):
                (folder / swap).write_text(str(size) if "memsw" in swap else "0")
            yield lambda pid, folder=folder: (folder / "cgroup.procs").write_text(str(pid)) and None  # type: ignore[misc]
            return
        except FileNotFoundError:  # this controller is not here
            continue
        finally:
            folder.rmdir()
    yield None
