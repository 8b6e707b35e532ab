"""The platform's database as both kinds: SQLite, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from services.core.database.connection import Base, make_engine
from services.core.database.migrate import upgrade
from tests import postgres
from tests.gateways import sqlite_copy, sqlite_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sqlite_template(tmp_path_factory.mktemp("migrated"))


@pytest.fixture(scope="session")
def migrated_postgres() -> Iterator[Engine]:
    """Migrating takes seconds, so there is one database, emptied after each test."""
    if postgres.programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server() as server, postgres.database(server) as address:
        made = make_engine(address, pool_size=20)
        upgrade(made)
        yield made
        made.dispose()


@pytest.fixture
def sqlite_engine(template: Path, tmp_path: Path) -> Iterator[Engine]:
    made = sqlite_copy(template, tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def postgres_engine(migrated_postgres: Engine) -> Iterator[Engine]:
    yield migrated_postgres
    with migrated_postgres.begin() as connection:
        connection.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER USER"))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
        connection.execute(text("ALTER TABLE audit_entries ENABLE TRIGGER USER"))


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A migrated, empty database of each kind."""
    made: Engine = request.getfixturevalue(f"{request.param}_engine")
    return made
