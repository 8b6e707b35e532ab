"""Promotion freeze: while it is set, no model is promoted. Rollbacks stay allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, String, delete, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from services.core.database.connection import NAME, Base
from services.core.errors import ConflictError


class PlatformSettingRow(Base):
    """A setting that operators change at run time, such as the promotion freeze."""

    __tablename__ = "platform_settings"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    value: Mapped[dict[str, Any]]
    changed: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(NAME))


SETTING_NAME = "promotions_frozen"


@dataclass(frozen=True, slots=True)
class PromotionFreeze:
    """An active freeze: reason, actor and start."""

    reason: str
    by: str
    since: datetime


def active_freeze(engine: Engine) -> PromotionFreeze | None:
    """Return who froze promotions, when and why; None if they are allowed. Check it directly before each promotion, and
    do not promote if the database does not answer.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    with engine.connect() as connection:
        return active_freeze_in(connection)


def ensure_not_frozen(engine: Engine) -> None:
    """Check that promotions are allowed.

    Raises:
        ConflictError: promotions are frozen.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    frozen = active_freeze(engine)
    if frozen is not None:
        raise ConflictError(
            f"Promotions are frozen since {frozen.since:%Y-%m-%d %H:%M} UTC by {frozen.by}: {frozen.reason}",
            expected="promotions that are not frozen",
            action="Promote when the freeze is lifted (DELETE /admin/freeze); a rollback works all the same.",
        )


def active_freeze_in(connection: Connection) -> PromotionFreeze | None:
    """``active_freeze`` within a transaction."""
    row = connection.execute(
        select(PlatformSettingRow.value, PlatformSettingRow.changed, PlatformSettingRow.changed_by).where(
            PlatformSettingRow.name == SETTING_NAME
        )
    ).one_or_none()
    return None if row is None else PromotionFreeze(str(row.value.get("reason", "")), row.changed_by, row.changed)


def freeze_promotions(connection: Connection, *, reason: str, by: str) -> PromotionFreeze:
    """Freeze promotions. Freezing again keeps the start time and updates the reason."""
    before = active_freeze_in(connection)
    made = PromotionFreeze(reason, by, before.since if before else datetime.now(UTC))
    unfreeze_promotions(connection)
    connection.execute(
        insert(PlatformSettingRow).values(
            name=SETTING_NAME, value={"reason": reason}, changed=made.since, changed_by=by
        )
    )
    return made


def unfreeze_promotions(connection: Connection) -> bool:
    """Lift the freeze. False if there was none."""
    return connection.execute(delete(PlatformSettingRow).where(PlatformSettingRow.name == SETTING_NAME)).rowcount > 0
