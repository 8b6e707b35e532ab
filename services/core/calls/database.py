"""The platform's database as the calls' parts see it: connected to on first use, and allowed to be away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from services.core.calls.away import DatabaseAwayError, NoDatabaseYetError
from services.core.database.connection import address, make_engine, not_made_yet
from services.core.settings import Settings


class CallsDatabase:
    """One engine, made on first use; threads share it."""

    def __init__(self, settings: Settings) -> None:
        self._address = address(settings.database_url, settings.home)
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def engine(self) -> Engine:
        """
        Raises:
            NoDatabaseYetError: the embedded database has not been made yet. Making it is the migration's
                business: an empty file would look like a database.
        """
        if not_made_yet(self._address):
            raise NoDatabaseYetError(f"there is no database at {make_url(self._address).database} yet")
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self._address)
            return self._engine

    @contextmanager
    def reading(self, seconds: float = 15.0) -> Iterator[Connection]:
        """A connection for queries, which PostgreSQL ends after ``seconds``.

        Raises:
            DatabaseAwayError: see ``engine`` and ``away_told``.
        """
        engine = self.engine()
        with away_told(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1_000)}"))
            yield connection

    def dispose(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None


def is_poison(error: SQLAlchemyError) -> bool:
    """Whether the row is to blame, and not the database: trying it again would never help."""
    if isinstance(error, DataError | IntegrityError):
        return True
    return isinstance(error, StatementError) and not isinstance(error, DBAPIError)


@contextmanager
def away_told() -> Iterator[None]:
    """Turns the many ways in which a database can be away into one.

    Raises:
        DatabaseAwayError: with the reason's first line.
    """
    try:
        yield
    except SQLAlchemyError as error:
        if is_poison(error):
            raise
        lines = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise DatabaseAwayError(lines[0] if lines else type(error).__name__) from error
