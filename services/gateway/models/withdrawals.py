"""Emergency stops in the database: the advice of a use case, a target or a version, withdrawn until it is lifted.

Each is a platform setting of its own. A lifted one stays as a mark: the services that answer keep a withdrawal until
they see its mark, so that a lost or restored database lifts none."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.auth.snapshot import Withdrawal
from services.core.model_registry.promotion_freeze import PlatformSettingRow

_PREFIX, _LIFTED = "withdrawal:", "lifted"


def withdrawals(session: Session) -> tuple[list[Withdrawal], list[str]]:
    """Return the active withdrawals, oldest first, and the ids of those that were lifted."""
    rows = session.scalars(
        select(PlatformSettingRow)
        .where(PlatformSettingRow.name.startswith(_PREFIX, autoescape=True))
        .order_by(PlatformSettingRow.changed, PlatformSettingRow.name)
    ).all()
    active = [_withdrawal(row) for row in rows if not row.value.get(_LIFTED)]
    return active, [row.name.removeprefix(_PREFIX) for row in rows if row.value.get(_LIFTED)]


def withdraw(  # noqa: PLR0917
    session: Session, use_case: str, target: str | None, version: int | None, reason: str, by: str, now: datetime
) -> Withdrawal:
    """Withdraw advice. What is withdrawn already stays so, with its first reason: one lifting restores it."""
    for entry in withdrawals(session)[0]:
        if (entry.use_case, entry.target, entry.version) == (use_case, target, version):
            return entry
    value = {"use_case": use_case, "target": target, "version": version, "reason": reason}
    row = PlatformSettingRow(name=_PREFIX + uuid4().hex, value=value, changed=now, changed_by=by)
    session.add(row)
    session.flush()
    return _withdrawal(row)


def lift(session: Session, withdrawal_id: str, by: str, now: datetime) -> Withdrawal | None:
    """Lift a withdrawal, also one that the database has lost: it is marked. Return what was withdrawn; None if it is
    not known."""
    row = session.get(PlatformSettingRow, _PREFIX + withdrawal_id)
    if row is None:
        session.add(PlatformSettingRow(name=_PREFIX + withdrawal_id, value={_LIFTED: True}, changed=now, changed_by=by))
        return None
    found = None if "use_case" not in row.value else _withdrawal(row)
    row.value = {**row.value, _LIFTED: True}
    return found


def _withdrawal(row: PlatformSettingRow) -> Withdrawal:
    return Withdrawal(**row.value, id=row.name.removeprefix(_PREFIX), by=row.changed_by, at=row.changed)
