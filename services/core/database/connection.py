"""Connecting: one engine per process, set up alike for both databases."""

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
    """The database's SQLAlchemy address: the given one, or the SQLite file below the home."""
    return url or f"sqlite:///{home.database}"


def not_made_yet(url: str) -> bool:
    """Whether the address is of a SQLite file that does not exist. Connecting would make an empty one."""
    parsed = make_url(url)
    file = parsed.database
    return parsed.get_backend_name() == "sqlite" and bool(file) and file != ":memory:" and not Path(str(file)).exists()


def make_engine(url: str, *, pool_size: int = 5) -> Engine:
    """An engine for ``url`` (``postgresql+psycopg://…`` or ``sqlite:///…``). Connecting gives up after
    ``CONNECT_SECONDS``; a broken pooled connection is replaced instead of failing its first user."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            parsed,
            pool_size=pool_size,
            pool_pre_ping=True,
            pool_timeout=10,
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)
    event.listen(engine, "connect", _set_up_sqlite)
    # Transactions that write say so when they begin, so that two of them wait for each other instead of failing.
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
