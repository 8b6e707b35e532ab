"""Refresh tokens: 256 random bits, used once. Showing one twice means that two have it, so the whole sign-in ends."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from services.core.access.keys import digest
from services.core.access.tables import RefreshTokenRow, UserRow

PREFIX = "vgr_"
ENTRY_PREFIX = "vge_"
"""The first token of a sign-in that a browser is to enter by: it goes through an address, so it lives for"""
ENTRY_SECONDS = 30
"""so long, and nothing but ``/auth/enter`` takes it."""


@dataclass(frozen=True, slots=True)
class Lives:
    """How long a sign-in lasts: unused, and at most."""

    unused: timedelta
    at_most: timedelta


@dataclass(frozen=True, slots=True)
class Family:
    """The refresh tokens of one sign-in."""

    id: str
    user_id: str
    signed_in: datetime


@dataclass(frozen=True, slots=True)
class Started:
    token: str
    family: str


@dataclass(frozen=True, slots=True)
class Renewed:
    user: UserRow
    token: str
    family: str


@dataclass(frozen=True, slots=True)
class NotRenewed:
    """``reused_by`` is the user whose token was shown a second time; the sign-in has ended. ``just_now``: it
    was used within the grace, by another page of the same browser, and nothing has ended."""

    reused_by: UserRow | None = None
    just_now: bool = False


def start(session: Session, user: UserRow, lives: Lives, now: datetime, *, entry: bool = False) -> Started:
    """The first refresh token of a sign-in, or the code by which a browser enters it."""
    family = Family(uuid.uuid4().hex, user.id, now)
    if entry:
        shortly = Lives(timedelta(seconds=ENTRY_SECONDS), lives.at_most)
        return Started(_new(session, family, shortly, now, ENTRY_PREFIX), family.id)
    return Started(_new(session, family, lives, now), family.id)


def renew(
    session: Session,
    text: str,
    lives: Lives,
    now: datetime,
    grace: timedelta = timedelta(0),
    *,
    prefix: str = PREFIX,
) -> Renewed | NotRenewed:
    """The next refresh token for this one. What it finds is written in the caller's transaction, which
    has to be committed in either case. ``grace``: two pages of one browser share a cookie and may renew at
    the same moment; the second gets nothing then, and nothing ends. ``prefix``: the kind of token that counts here."""
    row = session.get(RefreshTokenRow, digest(text), with_for_update=True)
    if row is None or not text.startswith(prefix):
        return NotRenewed()
    user = session.get_one(UserRow, row.user_id)
    if row.used_at is not None:
        # Whoever waited for the row may have looked at the clock before the other used it.
        since = max(now - row.used_at, timedelta(0))
        if row.revoked_at is None and since < grace:
            return NotRenewed(just_now=True)
        if row.revoked_at is None:
            end_family(session, row.family, now)
            return NotRenewed(reused_by=user)
        return NotRenewed()
    if row.revoked_at is not None or row.expires_at <= now or not user.active:
        return NotRenewed()
    row.used_at = now
    return Renewed(user, _new(session, Family(row.family, user.id, row.signed_in), lives, now), row.family)


def use(session: Session, family: str, lives: Lives, now: datetime) -> UserRow | None:
    """Whose sign-in this is, if it lasts; it was used now, and so lasts on."""
    row = session.scalar(
        select(RefreshTokenRow)
        .where(
            RefreshTokenRow.family == family,
            RefreshTokenRow.used_at.is_(None),
            RefreshTokenRow.revoked_at.is_(None),
            RefreshTokenRow.expires_at > now,
        )
        .with_for_update()
    )
    if row is None:
        return None
    user = session.get_one(UserRow, row.user_id)
    if not user.active:
        return None
    row.expires_at = _end(row.signed_in, lives, now)
    return user


def end(session: Session, text: str, now: datetime) -> UserRow | None:
    """End the sign-in that this token belongs to; whose it was."""
    row = session.get(RefreshTokenRow, digest(text))
    if row is None:
        return None
    end_family(session, row.family, now)
    return session.get_one(UserRow, row.user_id)


def end_family(session: Session, family: str, now: datetime) -> None:
    session.execute(
        update(RefreshTokenRow)
        .where(RefreshTokenRow.family == family, RefreshTokenRow.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def end_all(session: Session, user: UserRow, now: datetime) -> None:
    """End all sign-ins of a user."""
    session.execute(
        update(RefreshTokenRow)
        .where(RefreshTokenRow.user_id == user.id, RefreshTokenRow.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def forget_old(session: Session, now: datetime) -> None:
    session.execute(delete(RefreshTokenRow).where(RefreshTokenRow.expires_at < now))


def _end(signed_in: datetime, lives: Lives, now: datetime) -> datetime:
    return min(now + lives.unused, signed_in + lives.at_most)


def _new(session: Session, family: Family, lives: Lives, now: datetime, prefix: str = PREFIX) -> str:
    text = prefix + secrets.token_urlsafe(32)
    session.add(
        RefreshTokenRow(
            sha256=digest(text),
            family=family.id,
            user_id=family.user_id,
            signed_in=family.signed_in,
            created=now,
            expires_at=_end(family.signed_in, lives, now),
        )
    )
    session.flush()
    return text
