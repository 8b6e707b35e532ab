"""Caches verified model bundles on local disk, and declares the registry interface that serving needs.

``<hash>/``       a complete bundle, written to a temporary folder and renamed
``served.json``   the last served bundles, newest first; replaced atomically"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from services.core.bundle.manifest import VerifiedBundle, verify_bundle
from services.core.errors import VigieError
from services.core.io import atomic_write


class RegistryVersion(Protocol):
    """A registered model version."""

    @property
    def number(self) -> Any: ...

    @property
    def bundle_hash(self) -> str: ...

    @property
    def metrics(self) -> Mapping[str, Mapping[str, float]]: ...


class RegistryClient(Protocol):
    """The part of ``services.core.model_registry.client.ModelRegistry`` that serving uses."""

    def by_alias(self, use_case: str, alias: str) -> RegistryVersion | None: ...

    def download_unverified(self, version: Any, folder: Path) -> None: ...


RegistryClientFactory = Callable[[], RegistryClient]
"""Creates a registry client. Called in a background thread, because connecting may take long or fail."""


MAX_CACHED_BUNDLES = 2
_STALE_SECONDS = 3_600.0


class CachedBundle(BaseModel):
    """The registry's record of a bundle, stored with it on disk."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    hash: str
    version: str
    metrics: dict[str, dict[str, float]] = {}

    @classmethod
    def of(cls, version: RegistryVersion) -> CachedBundle:
        metrics = {name: dict(values) for name, values in version.metrics.items()}
        return cls(hash=version.bundle_hash, version=str(version.number), metrics=metrics)


class _Pointer(BaseModel):
    served: list[CachedBundle]


class BundleCache:
    """Verified bundles of one use case on local disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        return self.folder / digest

    def kept(self) -> list[CachedBundle]:
        """Bundles that were served, newest first; empty if there are none or the pointer cannot be read."""
        try:
            return _Pointer.model_validate_json(self._pointer.read_bytes()).served
        except (FileNotFoundError, ValidationError):
            return []

    def verified(self, digest: str) -> VerifiedBundle:
        """The cached bundle with this hash.

        Raises:
            VigieError: it is missing, incomplete or has another hash.
        """
        return verify_bundle(self.path(digest), digest)

    def install(self, digest: str, download: Callable[[Path], object]) -> VerifiedBundle:
        """The bundle with this hash, downloaded if it is not cached.

        ``download`` fills a temporary folder; each file is hashed once, and the folder is then only renamed.

        Raises:
            VigieError: the downloaded bundle is incomplete or has another hash.
        """
        if not digest:
            raise VigieError("The version has no bundle hash: Vigie did not register it.")
        if self.path(digest).is_dir():
            try:
                return self.verified(digest)
            except VigieError:
                self.discard(digest)
        with self._incoming() as folder:
            download(folder)
            _, manifest = verify_bundle(folder, digest)
            try:
                folder.rename(self.path(digest))
            except OSError:
                # Another process of the same home was faster: verify what it wrote.
                return self.verified(digest)
        return VerifiedBundle(self.path(digest), manifest)

    def commit(self, kept: CachedBundle) -> None:
        """Point at the bundle that is served now; delete all but this one and the one before."""
        served = [kept, *(old for old in self.kept() if old.hash != kept.hash)][:MAX_CACHED_BUNDLES]
        atomic_write(self._pointer, _Pointer(served=served).model_dump_json(indent=2) + "\n")
        names = {item.hash for item in served}
        for folder in self.folder.iterdir():
            if (
                folder.is_dir()
                and (folder.name not in names)
                and (not folder.name.startswith(".") or _is_stale(folder))
            ):
                shutil.rmtree(folder, ignore_errors=True)

    def discard(self, digest: str) -> None:
        """Delete a bundle that failed verification."""
        aside = self.folder / f".refused-{uuid.uuid4().hex}"
        with suppress(FileNotFoundError):
            self.path(digest).rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    @property
    def _pointer(self) -> Path:
        return self.folder / "served.json"

    @contextmanager
    def _incoming(self) -> Iterator[Path]:
        folder = self.folder / f".incoming-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _is_stale(folder: Path) -> bool:
    """Whether a process that was killed left the folder; a newer one may still be written by another process."""
    with suppress(FileNotFoundError):
        return time.time() - folder.stat().st_mtime > _STALE_SECONDS
    return False
