"""A model registry made of folders, with the faults that a real one can have."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.core.bundle.manifest import bundle_hash, read_manifest


@dataclass(frozen=True)
class FolderVersion:
    number: int
    bundle_hash: str
    folder: Path
    metrics: dict[str, dict[str, float]] = field(default_factory=lambda: {"seconds": {"mae": 41.5}})


class FolderRegistry:
    """``champions`` maps a use case to its champion. A test sets ``down`` or ``spoil`` to see what
    the service makes of it."""

    def __init__(self) -> None:
        self.champions: dict[str, FolderVersion] = {}
        self.down = False
        self.spoil: Callable[[Path], object] = lambda _: None
        self.downloads: list[int] = []

    def promote(self, use_case: str, number: int, bundle: Path) -> None:
        self.champions[use_case] = FolderVersion(number, bundle_hash(read_manifest(bundle)), bundle)

    def by_alias(self, use_case: str, alias: str) -> FolderVersion | None:
        if self.down:
            raise ConnectionError("the registry is down")
        assert alias == "champion"
        return self.champions.get(use_case)

    def download_unverified(self, version: Any, folder: Path) -> None:
        if self.down:
            raise ConnectionError("the registry is down")
        self.downloads.append(version.number)
        shutil.copytree(version.folder, folder, dirs_exist_ok=True)
        self.spoil(folder)
