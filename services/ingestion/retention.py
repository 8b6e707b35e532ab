"""Deletes old logs and reports, abandoned workspaces, and data that no registered version references."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.core import use_case_registry as use_cases
from services.core.model_registry.client import ModelRegistry
from services.core.paths import VigiePaths
from services.core.pipeline.versions import collect_garbage

DAY_SECONDS = 86_400.0
WORKSPACE_DAYS = 2
"""Age of abandoned workspaces in days. A run deletes its own; none runs for this long."""
MAX_NAMES = 50
"""Maximum number of names of each kind in the result."""


@dataclass(slots=True)
class RemovalReport:
    """What was deleted of one kind (or would be, in a dry run)."""

    names: list[str] = field(default_factory=list)
    number: int = 0
    bytes: int = 0

    def add(self, path: Path) -> None:
        self.number += 1
        self.bytes += size_bytes(path)
        if len(self.names) < MAX_NAMES:
            self.names.append(path.name)

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "bytes": self.bytes, "names": self.names}


def remove_expired(
    home: VigiePaths,
    *,
    keep_days: int,
    dry_run: bool,
    progress: Callable[[str], None],
    registry: ModelRegistry | None = None,
) -> dict[str, Any]:
    """Delete expired files.

    Raises:
        VigieError: the registry's versions cannot be listed; no data was deleted then.
    """
    now = time.time()
    old, forgotten = now - keep_days * DAY_SECONDS, now - WORKSPACE_DAYS * DAY_SECONDS
    found = {
        "run_logs": _remove((home.logs / "runs").glob("*.log"), old, dry_run=dry_run),
        "reports": _remove((home.root / "reports").glob("*/*"), old, dry_run=dry_run),
        "workspaces": _remove(home.scratch.glob("*"), forgotten, dry_run=dry_run),
    }
    for kind, removed in found.items():
        progress(f"{kind}: {removed.number} {'would go' if dry_run else 'removed'}")
    registry = registry or ModelRegistry.open(home)
    kept = [registry.lock_file(version) for name in use_cases.names() for version in registry.versions(name)]
    progress(f"data: kept for {len(kept)} versions")
    garbage = collect_garbage(home, kept, dry_run=dry_run)
    progress(f"data: {garbage} {'would go' if dry_run else 'removed'}")
    return {
        "dry_run": dry_run,
        "keep_days": keep_days,
        **{kind: removed.as_json() for kind, removed in found.items()},
        "data": {"cache_objects": garbage.cache, "remote_objects": garbage.remote, "versions_kept": len(kept)},
    }


def _remove(paths: Iterable[Path], before: float, *, dry_run: bool) -> RemovalReport:
    removed = RemovalReport()
    for path in sorted(paths):
        with suppress(FileNotFoundError):  # runs clean up concurrently
            if path.lstat().st_mtime < before:
                removed.add(path)
                if not dry_run:
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()
    return removed


def size_bytes(path: Path) -> int:
    """Size of a file, or of all files below a folder, in bytes."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
