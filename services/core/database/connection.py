"""Creates the database engine: one per process, configured alike for PostgreSQL and SQLite."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

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
