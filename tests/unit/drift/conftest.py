"""A database that is up to date, the toy use case, and its calls written straight into the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.core.contract.use_case import UseCase
from tests.gateways import sqlite_copy, sqlite_template
from tests.toy.declared import toy_declared


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
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case
