"""The toy use case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.core.usecases import registry
from services.core.usecases.contract import UseCase


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseCase]:
    monkeypatch.setenv("VIGIE_EXTRA_USE_CASES", "tests.toy")
    registry.packages.cache_clear()
    registry.get.cache_clear()
    yield registry.get("toy")
    registry.packages.cache_clear()
    registry.get.cache_clear()
