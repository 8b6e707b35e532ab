"""Paths below ``VIGIE_HOME``.

``states/<use case>/<run>/`` holds what a run published: ``data/<use case>/``, ``models/<use case>/`` and ``dvc.lock``.
``current/<use case>`` is a symbolic link to the newest state. Only this link changes, so readers see a complete state
or none."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class VigiePaths:
    """Paths of one platform's home."""

    root: Path

    def current(self, use_case: str) -> Path:
        return self.root / "current" / use_case

    def data(self, use_case: str) -> Path:
        """Published ``data/<use case>`` (raw/, examples/, quarantine/, landing/)."""
        return self.current(use_case) / "data" / use_case

    def models(self, use_case: str) -> Path:
        """Published ``models/<use case>`` (bundle/, evaluation/): candidates, never served."""
        return self.current(use_case) / "models" / use_case

    def states(self, use_case: str) -> Path:
        return self.root / "states" / use_case

    def lock(self, use_case: str) -> Path:
        return self.root / "locks" / f"{use_case}.lock"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def dvc_cache(self) -> Path:
        return self.root / "dvc" / "cache"

    @property
    def dvc_remote(self) -> Path:
        return self.root / "dvc" / "remote"

    @property
    def database(self) -> Path:
        """The embedded platform's SQLite database; ``VIGIE_DATABASE_URL`` sets another one."""
        return self.root / "database" / "vigie.db"

    @property
    def registry_database(self) -> Path:
        return self.root / "registry" / "mlflow.db"

    @property
    def registry_artifacts(self) -> Path:
        return self.root / "registry" / "artifacts"

    def serving(self, use_case: str) -> Path:
        """Verified bundles stored by prediction: the last good one survives an outage of the registry."""
        return self.root / "serving" / use_case

    @property
    def baseline(self) -> Path:
        """Baseline tables for manual use during an outage, written at each promotion."""
        return self.root / "baseline"

    @property
    def access_list(self) -> Path:
        """The last auth snapshot from the gateway."""
        return self.root / "serving" / "access-list.json"

    @property
    def journal(self) -> Path:
        """Write-ahead log of predictions; shared by replicas, each with its own folder."""
        return self.root / "serving" / "journal"

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    def drop(self, use_case: str) -> Path:
        """Folder for manually provided raw files; source ``auto`` uses them if the official source is unavailable."""
        return self.root / "drop" / use_case

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def processes(self) -> Path:
        return self.root / "run"

    def protect(self) -> None:
        """Close an existing home to other users of the machine: it holds calls, password hashes and keys. A folder that
        is no home (without secrets, states and registry) is left as it is."""
        if not any((self.root / name).exists() for name in ("secrets.env", "states", "registry")):
            return
        found = self.root.stat()
        if found.st_mode & 0o077 and found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX:
            self.root.chmod(0o700)
