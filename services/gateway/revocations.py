"""Access tokens that are taken back before they run out: on every service's list until then."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from services.core.access.access_list import Revocation
from services.core.access.tables import RevocationRow
from services.core.access.tokens import LEEWAY_SECONDS, LIFETIME_SECONDS

_KEPT = timedelta(seconds=LIFETIME_SECONDS + 2 * LEEWAY_SECONDS + 1)


def revoke_token(session: Session, jti: str, now: datetime) -> None:
    """One token, by its id."""
    session.merge(RevocationRow(kind="jti", value=jti, issued_before=now, until=now + _KEPT))


def revoke_tokens_of(session: Session, owner: str, now: datetime) -> None:
    """All tokens that a user or key (by id) has by now; a new sign-in works at once."""
    session.merge(RevocationRow(kind="sub", value=owner, issued_before=now, until=now + _KEPT))


def in_force(session: Session, now: datetime) -> list[Revocation]:
    rows = session.scalars(select(RevocationRow).where(RevocationRow.until > now).order_by(RevocationRow.value))
    return [
        Revocation(jti=row.value, until=row.until)
        if row.kind == "jti"
        else Revocation(sub=row.value, before=row.issued_before, until=row.until)
        for row in rows
    ]


def forget_old(session: Session, now: datetime) -> None:
    session.execute(delete(RevocationRow).where(RevocationRow.until < now))
