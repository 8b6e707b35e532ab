"""A database that is up to date, the toy use case, and its calls written straight into the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.core.usecases import registry
from tests.gateways import sqlite_copy, sqlite_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sqlite_template(tmp_path_factory.mktemp("drift"))


@pytest.fixture
def engine(template: Path, tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "database").mkdir()
    made = sqlite_copy(template, tmp_path / "database")
    yield made
    made.dispose()


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VIGIE_EXTRA_USE_CASES", "tests.toy")
    registry.packages.cache_clear()
    registry.get.cache_clear()
    yield
    registry.packages.cache_clear()
    registry.get.cache_clear()
