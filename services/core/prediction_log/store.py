"""Stores records in the database exactly once, and translates database errors into one exception."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from services.core.database.connection import database_address, make_engine, not_made_yet
from services.core.prediction_log.records import Record
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from services.core.settings import Settings


class DatabaseUnavailableError(Exception):
    """The database cannot be used at present: unreachable, not initialised or not migrated."""


class DatabaseNotInitialisedError(DatabaseUnavailableError):
    """The embedded database does not exist yet, which is normal if only the pipeline is used."""


class PredictionLogDatabase:
    """Creates one engine on first use; threads share it."""

    def __init__(self, settings: Settings) -> None:
        self._address = database_address(settings.database_url, settings.home)
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def engine(self) -> Engine:
        """The engine, created on first use.

        Raises:
            DatabaseNotInitialisedError: the embedded database does not exist. Only migrations create it: an empty file
                would look like a database.
        """
        if not_made_yet(self._address):
            raise DatabaseNotInitialisedError(f"there is no database at {make_url(self._address).database} yet")
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self._address)
            return self._engine

    @contextmanager
    def reading(self, seconds: float = 15.0) -> Iterator[Connection]:
        """Open a connection for queries; PostgreSQL cancels it after ``seconds``.

        Raises:
            DatabaseUnavailableError: see ``engine`` and ``translate_db_errors``.
        """
        engine = self.engine()
        with translate_db_errors(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1_000)}"))
            yield connection

    def dispose(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None


def is_record_error(error: SQLAlchemyError) -> bool:
    """Whether the record caused the error, not the database: retrying would never help."""
    if isinstance(error, DataError | IntegrityError):
        return True
    return isinstance(error, StatementError) and not isinstance(error, DBAPIError)


@contextmanager
def translate_db_errors() -> Iterator[None]:
    """Translate every error of an unavailable database into one.

    Raises:
        DatabaseUnavailableError: with the first line of the reason.
    """
    try:
        yield
    except SQLAlchemyError as error:
        if is_record_error(error):
            raise
        lines = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise DatabaseUnavailableError(lines[0] if lines else type(error).__name__) from error


_PREDICTIONS = PredictionRow.__table__
_OUTCOMES = OutcomeRow.__table__
_CONTENT = ("happened_at", "kind", "simulated", "labels", "override")
_REFERENCE = ("use_case", "centre", "prediction_id", "request_id", "row_index", "incident_id")


class RejectedRecord(NamedTuple):
    """A record that the database rejects permanently (poison message)."""

    record: Record
    reason: str


def store_records(engine: Engine, records: Sequence[Record]) -> list[RejectedRecord]:
    """Insert ``records``, skipping those that exist. Committed on return.

    Raises:
        DatabaseUnavailableError: nothing is lost, retry later. Some of the records may have been stored.
    """
    with translate_db_errors():
        return _store_batch(engine, records)


def _store_batch(engine: Engine, records: Sequence[Record]) -> list[RejectedRecord]:
    if not records:
        return []
    try:
        with engine.begin() as connection:
            predictions = [record.row for record in records if record.kind == "prediction"]
            if predictions:
                _insert(connection, _PREDICTIONS, predictions)
            for record in records:
                if record.kind == "outcome" and not _is_repeat(connection, record.row):
                    _insert(connection, _OUTCOMES, [record.row])
    except (SQLAlchemyError, OverflowError) as error:
        if isinstance(error, SQLAlchemyError) and not is_record_error(error):
            raise
        if len(records) == 1:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            return [RejectedRecord(records[0], reason[0] if reason else type(error).__name__)]
    else:
        return []
    # One record is rejected: bisect instead of trying each.
    middle = len(records) // 2
    return _store_batch(engine, records[:middle]) + _store_batch(engine, records[middle:])


def _insert(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    assert isinstance(table, Table)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    now = datetime.now(UTC)
    statement = dialect.insert(table).on_conflict_do_nothing(index_elements=["id"])
    connection.execute(statement, [{**row, "stored_at": now} for row in rows])


def _is_repeat(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Whether the newest report of the same call is identical: clients retry if they did not receive the
    response."""
    assert isinstance(_OUTCOMES, Table)
    columns = _OUTCOMES.c
    newest = (
        select(*(columns[name] for name in _CONTENT))
        .where(*(columns[name].is_not_distinct_from(row[name]) for name in _REFERENCE))
        .where(columns.received_at <= row["received_at"])
        .order_by(columns.received_at.desc(), columns.id.desc())
        .limit(1)
    )
    found = connection.execute(newest).mappings().first()
    return found is not None and all(found[name] == row[name] for name in _CONTENT)
