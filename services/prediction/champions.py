"""What the service needs of a model registry: which version is the champion, and its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol


class Version(Protocol):
    """A registered model version."""

    @property
    def number(self) -> Any: ...

    @property
    def bundle_hash(self) -> str: ...

    @property
    def metrics(self) -> Mapping[str, Mapping[str, float]]: ...


class Champions(Protocol):
    """The part of ``services.core.registry.client.Registry`` that serving uses."""

    def by_alias(self, use_case: str, alias: str) -> Version | None: ...

    def download_unverified(self, version: Any, folder: Path) -> None: ...


ChampionsFactory = Callable[[], Champions]
"""Makes a registry client. Called in a background thread, because that may take long or fail."""
