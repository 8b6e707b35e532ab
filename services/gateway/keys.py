"""API keys in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from services.core.access.access_list import KeyEntry
from services.core.access.key_usage import KeyUse
from services.core.access.keys import new_key
from services.core.access.roles import Role
from services.core.access.tables import ApiKeyRow
from services.core.errors import ConflictError, NotFoundError, VigieError
from services.core.usecases import registry as declared
from services.gateway.users import require_centre


@dataclass(frozen=True, slots=True)
class MadeKey:
    """``text`` is shown once and kept nowhere."""

    row: ApiKeyRow
    text: str


def create(
    session: Session,
    *,
    name: str,
    role: Role,
    centre: str,
    use_cases: Collection[str] | None,
    expires_at: datetime,
    created_by: str,
    now: datetime,
) -> MadeKey:
    """
    Raises:
        VigieError: no such centre or use case, or it has expired already.
    """
    require_centre(session, centre)
    for use_case in use_cases or ():
        declared.get(use_case)
    if expires_at <= now:
        raise VigieError("The key would have expired already.", expected="expires_at in the future")
    return _add(
        session,
        name=name,
        role=role,
        centre=centre,
        use_cases=use_cases,
        expires_at=expires_at,
        created_by=created_by,
        now=now,
    )


def rotate(session: Session, key_id: str, overlap: timedelta, created_by: str, now: datetime) -> MadeKey:
    """A new key with the same name, role, centre and use cases; the old one works for ``overlap`` more.

    The new one lives as long as the old one did.

    Raises:
        VigieError: there is no such key, or it is not in force any more.
    """
    old = get(session, key_id, lock=True)
    if old.revoked_at is not None or old.expires_at <= now:
        raise ConflictError(f"The key {key_id} is not in force any more.", action="Create a new one.")
    lifetime = old.expires_at - old.created
    old.expires_at = min(old.expires_at, now + overlap)
    return _add(
        session,
        name=old.name,
        role=Role(old.role),
        centre=old.centre,
        use_cases=old.use_cases,
        expires_at=now + lifetime,
        created_by=created_by,
        now=now,
        rotated_from=old.id,
    )


def revoke(session: Session, key_id: str, now: datetime) -> ApiKeyRow:
    """
    Raises:
        NotFoundError: there is no such key.
    """
    row = get(session, key_id, lock=True)
    row.revoked_at = row.revoked_at or now
    return row


def get(session: Session, key_id: str, *, lock: bool = False) -> ApiKeyRow:
    """
    Raises:
        NotFoundError: there is no such key.
    """
    row = session.get(ApiKeyRow, key_id, with_for_update=lock)
    if row is None:
        raise NotFoundError(f"There is no key {key_id!r}.", action="GET /admin/keys lists them.")
    return row


def listed(session: Session, centres: Collection[str] | None) -> list[ApiKeyRow]:
    """The keys of ``centres`` (None: all), newest first."""
    query = select(ApiKeyRow).order_by(ApiKeyRow.created.desc(), ApiKeyRow.id)
    if centres is not None:
        query = query.where(ApiKeyRow.centre.in_(sorted(centres)))
    return list(session.scalars(query))


def in_force(session: Session, now: datetime) -> list[KeyEntry]:
    rows = session.scalars(
        select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None), ApiKeyRow.expires_at > now).order_by(ApiKeyRow.id)
    )
    return [
        KeyEntry(
            id=row.id,
            sha256=row.sha256,
            name=row.name,
            role=Role(row.role),
            centre=row.centre,
            use_cases=None if row.use_cases is None else frozenset(row.use_cases),
            expires_at=row.expires_at,
        )
        for row in rows
    ]


def count_uses(session: Session, uses: Iterable[KeyUse]) -> None:
    """Add what a service counted. Keys that are not there are passed over."""
    # In one order everywhere, so that two services' reports do not wait for each other in a circle.
    for use in sorted(uses, key=lambda use: use.id):
        session.execute(update(ApiKeyRow).where(ApiKeyRow.id == use.id).values(uses=ApiKeyRow.uses + use.uses))
        session.execute(
            update(ApiKeyRow)
            .where(
                ApiKeyRow.id == use.id,
                or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at < use.last_used_at),
            )
            .values(last_used_at=use.last_used_at)
        )


def _add(
    session: Session,
    *,
    name: str,
    role: Role,
    centre: str,
    use_cases: Collection[str] | None,
    expires_at: datetime,
    created_by: str,
    now: datetime,
    rotated_from: str | None = None,
) -> MadeKey:
    key = new_key()
    row = ApiKeyRow(
        id=key.id,
        name=name,
        sha256=key.sha256,
        role=str(role),
        centre=centre,
        use_cases=None if use_cases is None else sorted(set(use_cases)),
        created=now,
        created_by=created_by,
        expires_at=expires_at,
        rotated_from=rotated_from,
        uses=0,
    )
    session.add(row)
    session.flush()
    return MadeKey(row, key.text)
