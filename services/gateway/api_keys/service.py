"""API keys in the database: creation, rotation, revocation and usage counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from services.core import use_case_registry as declared
from services.core.auth.credentials import generate_api_key
from services.core.auth.principal import Role
from services.core.auth.snapshot import ApiKeyEntry
from services.core.auth.snapshot_poller import ApiKeyUsage
from services.core.auth.tables import ApiKeyRow
from services.core.errors import ConflictError, NotFoundError, VigieError
from services.gateway.users.service import require_centre

MAX_LIFETIME = timedelta(days=10 * 365)
"""The longest time for which a key is in force."""


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new key with its plain text, which is returned once and never stored."""

    row: ApiKeyRow
    text: str


def insert_api_key(
    session: Session,
    *,
    name: str,
    role: Role,
    centre: str,
    use_cases: Collection[str] | None,
    expires_at: datetime,
    created_by: str,
    now: datetime,
) -> CreatedApiKey:
    """Create an API key.

    Raises:
        VigieError: unknown centre or use case, or an expiry in the past.
    """
    require_centre(session, centre)
    for use_case in use_cases or ():
        declared.get(use_case)
    if not now < expires_at <= now + MAX_LIFETIME:
        raise VigieError(
            "The key would have expired already." if expires_at <= now else "The key would be in force for too long.",
            expected=f"expires_at in the future, at most {MAX_LIFETIME.days // 365} years from now",
        )
    return _insert_row(
        session,
        name=name,
        role=role,
        centre=centre,
        use_cases=use_cases,
        expires_at=expires_at,
        created_by=created_by,
        now=now,
    )


def rotate_api_key(session: Session, key_id: str, overlap: timedelta, created_by: str, now: datetime) -> CreatedApiKey:
    """Create a key with the same name, role, centre and use cases; the old one stays valid for ``overlap``.

    The new key gets the lifetime of the old one.

    Raises:
        VigieError: no such key, or it is revoked or expired.
    """
    old = get_api_key(session, key_id, lock=True)
    if old.revoked_at is not None or old.expires_at <= now:
        raise ConflictError(f"The key {key_id} is not in force any more.", action="Create a new one.")
    lifetime = old.expires_at - old.created
    old.expires_at = min(old.expires_at, now + overlap)
    return _insert_row(
        session,
        name=old.name,
        role=Role(old.role),
        centre=old.centre,
        use_cases=old.use_cases,
        expires_at=min(now + lifetime, now + MAX_LIFETIME),
        created_by=created_by,
        now=now,
        rotated_from=old.id,
    )


def revoke_api_key(session: Session, key_id: str, now: datetime) -> ApiKeyRow:
    """Revoke an API key.

    Raises:
        NotFoundError: no such key.
    """
    row = get_api_key(session, key_id, lock=True)
    row.revoked_at = row.revoked_at or now
    return row


def get_api_key(session: Session, key_id: str, *, lock: bool = False) -> ApiKeyRow:
    """Return an API key by id.

    Raises:
        NotFoundError: no such key.
    """
    row = session.get(ApiKeyRow, key_id, with_for_update=lock)
    if row is None:
        raise NotFoundError(f"There is no key {key_id!r}.", action="GET /admin/keys lists them.")
    return row


def list_api_keys(session: Session, centres: Collection[str] | None) -> list[ApiKeyRow]:
    """List the keys of ``centres`` (None: all), newest first."""
    query = select(ApiKeyRow).order_by(ApiKeyRow.created.desc(), ApiKeyRow.id)
    if centres is not None:
        query = query.where(ApiKeyRow.centre.in_(sorted(centres)))
    return list(session.scalars(query))


def active_api_keys(session: Session, now: datetime) -> list[ApiKeyEntry]:
    rows = session.scalars(
        select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None), ApiKeyRow.expires_at > now).order_by(ApiKeyRow.id)
    )
    return [
        ApiKeyEntry(
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


def record_api_key_usage(session: Session, uses: Iterable[ApiKeyUsage]) -> None:
    """Add the usage that a service counted. Unknown keys are ignored."""
    # A fixed order of updates, so that concurrent reports of two services cannot deadlock.
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


def _insert_row(
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
) -> CreatedApiKey:
    key = generate_api_key()
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
    return CreatedApiKey(row, key.text)
