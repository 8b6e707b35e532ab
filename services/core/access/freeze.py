"""The freeze: during a major incident no model is promoted, however good it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, delete, insert, select

from services.core.access.tables import PlatformSettingRow

NAME = "promotions_frozen"


@dataclass(frozen=True, slots=True)
class Freeze:
    reason: str
    by: str
    since: datetime


def frozen(engine: Engine) -> Freeze | None:
    """Who froze promotions, when and why; None where they may go on. Whoever promotes has to ask this
    right before, and may not promote where the database cannot be asked.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    with engine.connect() as connection:
        return current(connection)


def current(connection: Connection) -> Freeze | None:
    """``frozen`` within a transaction."""
    row = connection.execute(
        select(PlatformSettingRow.value, PlatformSettingRow.changed, PlatformSettingRow.changed_by).where(
            PlatformSettingRow.name == NAME
        )
    ).one_or_none()
    return None if row is None else Freeze(str(row.value.get("reason", "")), row.changed_by, row.changed)


def freeze(connection: Connection, *, reason: str, by: str) -> Freeze:
    """Freeze promotions. Freezing again keeps the first time and takes the new reason."""
    before = current(connection)
    made = Freeze(reason, by, before.since if before else datetime.now(UTC))
    thaw(connection)
    connection.execute(
        insert(PlatformSettingRow).values(name=NAME, value={"reason": reason}, changed=made.since, changed_by=by)
    )
    return made


def thaw(connection: Connection) -> bool:
    """Let promotions go on. False where they were not frozen."""
    return connection.execute(delete(PlatformSettingRow).where(PlatformSettingRow.name == NAME)).rowcount > 0
