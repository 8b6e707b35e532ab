"""Putting records into the tables, each once however often it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from services.core.calls.database import away_told, is_poison
from services.core.calls.records import Record
from services.core.calls.tables import Outcome, Prediction

_PREDICTIONS = Prediction.__table__
_OUTCOMES = Outcome.__table__
_CONTENT = ("happened_at", "kind", "simulated", "labels", "override")
_REFERENCE = ("use_case", "centre", "prediction_id", "request_id", "row_index", "incident_id")


class Poison(NamedTuple):
    """A record that the database will never take."""

    record: Record
    reason: str


def store(engine: Engine, records: Sequence[Record]) -> list[Poison]:
    """Insert ``records``; what is there already stays as it is. Committed when this returns.

    Raises:
        DatabaseAwayError: nothing is lost, try again later. Some of the records may have been stored.
    """
    with away_told():
        return _store(engine, records)


def _store(engine: Engine, records: Sequence[Record]) -> list[Poison]:
    if not records:
        return []
    try:
        with engine.begin() as connection:
            predictions = [record.row for record in records if record.kind == "prediction"]
            if predictions:
                _insert(connection, _PREDICTIONS, predictions)
            for record in records:
                if record.kind == "outcome" and not _repeats(connection, record.row):
                    _insert(connection, _OUTCOMES, [record.row])
    except (SQLAlchemyError, OverflowError) as error:
        if isinstance(error, SQLAlchemyError) and not is_poison(error):
            raise
        if len(records) == 1:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            return [Poison(records[0], reason[0] if reason else type(error).__name__)]
    else:
        return []
    # One of them is to blame: halves find it without trying each.
    middle = len(records) // 2
    return _store(engine, records[:middle]) + _store(engine, records[middle:])


def _insert(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    assert isinstance(table, Table)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(index_elements=["id"]), list(rows))


def _repeats(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Whether the newest report of the same call says the same already: a sender that did not hear the
    answer sends again."""
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
