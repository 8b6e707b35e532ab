"""Engine (alike for PostgreSQL and SQLite), declarative base of all tables, and column types."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, Engine, MetaData, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from services.core.paths import VigiePaths

CONNECT_SECONDS = 3
BUSY_MILLISECONDS = 10_000


def database_address(url: str | None, home: VigiePaths) -> str:
    """Return the database's SQLAlchemy URL: the given one, or the SQLite file below the home."""
    return url or f"sqlite:///{home.database}"


def not_made_yet(url: str) -> bool:
    """Whether the URL names a SQLite file that does not exist; connecting would create an empty one."""
    parsed = make_url(url)
    file = parsed.database
    return parsed.get_backend_name() == "sqlite" and bool(file) and file != ":memory:" and not Path(str(file)).exists()


def make_engine(url: str, *, pool_size: int = 5) -> Engine:
    """Create an engine for ``url`` (``postgresql+psycopg://…`` or ``sqlite:///…``).

    Connecting times out after ``CONNECT_SECONDS``; stale pooled connections are replaced before use. Errors do not show
    a statement's values, which would otherwise stand in logs.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            parsed,
            hide_parameters=True,
            pool_size=pool_size,
            pool_pre_ping=True,
            pool_timeout=10,
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, hide_parameters=True)
    event.listen(engine, "connect", _set_up_sqlite)
    # BEGIN IMMEDIATE: concurrent writers wait for each other instead of failing on the lock upgrade.
    event.listen(engine, "begin", _begin_immediately)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_MILLISECONDS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediately(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


Json = JSON().with_variant(JSONB(), "postgresql")
"""A JSON document; JSONB on PostgreSQL."""


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp. Naive values are rejected; results are aware and in UTC, also from SQLite, which stores no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"A moment needs a zone, and {value.isoformat()} has none.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


NAME, ID, DIGEST, WORD = 120, 32, 64, 40
"""Maximum lengths of text columns, in characters."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - required by SQLAlchemy
        datetime: UtcDateTime(),
        dict[str, Any]: Json,
        list[str]: Json,
    }


def insert_if_new(connection: Connection, table: Any, *, index_elements: Sequence[str] | None = None) -> Any:
    """Return an INSERT that ignores existing keys; its row count shows whether this writer inserted the row."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing(index_elements=index_elements)
