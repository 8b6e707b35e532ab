"""Login state in the database: failed attempts and refresh tokens.

Lockouts grow with failures and hold for one address; a refresh token works once, and its reuse ends the session."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from services.core.auth.credentials import hash_api_key
from services.core.auth.tables import RefreshTokenRow, UserRow
from services.gateway.auth.db_authenticator import revoke_sign_in

REFRESH_TOKEN_PREFIX = "vgr_"  # noqa: S105 - the mark of a kind of token
ENTRY_CODE_PREFIX = "vge_"
"""Prefix of the first token of a browser login. It is sent in a URL, so it lives for"""
ENTRY_CODE_SECONDS = 30
"""this many seconds, and only ``/auth/enter`` accepts it."""


@dataclass(frozen=True, slots=True)
class TokenLifetimes:
    """Session timeouts: idle and absolute."""

    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True, slots=True)
class TokenFamily:
    """The refresh tokens of one session."""

    id: str
    user_id: str
    signed_in: datetime


@dataclass(frozen=True, slots=True)
class StartedSession:
    token: str
    family: str


@dataclass(frozen=True, slots=True)
class RenewedSession:
    user: UserRow
    token: str
    family: str


@dataclass(frozen=True, slots=True)
class RenewalFailed:
    """A rejected renewal. ``reused_by``: the user whose token was presented twice; the session has ended. ``just_now``:
    the token was used within the grace period by another page of the same browser; nothing has ended."""

    reused_by: UserRow | None = None
    just_now: bool = False


def start_session(
    session: Session, user: UserRow, lives: TokenLifetimes, now: datetime, *, entry: bool = False
) -> StartedSession:
    """Start a session: its first refresh token, or the one-time code by which a browser enters it."""
    family = TokenFamily(uuid.uuid4().hex, user.id, now)
    if entry:
        shortly = TokenLifetimes(timedelta(seconds=ENTRY_CODE_SECONDS), lives.absolute)
        return StartedSession(_insert_refresh_token(session, family, shortly, now, ENTRY_CODE_PREFIX), family.id)
    return StartedSession(_insert_refresh_token(session, family, lives, now), family.id)


def rotate_refresh_token(
    session: Session,
    text: str,
    lives: TokenLifetimes,
    now: datetime,
    grace: timedelta = timedelta(0),
    *,
    prefix: str = REFRESH_TOKEN_PREFIX,
) -> RenewedSession | RenewalFailed:
    """Exchange a refresh token for the next one. The caller commits in either case, since reuse is recorded too.

    ``grace``: two pages of one browser share a cookie and may renew at the same moment; the second gets nothing then,
    and the session goes on. ``prefix``: the accepted kind of token."""
    row = session.get(RefreshTokenRow, hash_api_key(text), with_for_update=True)
    if row is None or not text.startswith(prefix):
        return RenewalFailed()
    user = session.get_one(UserRow, row.user_id)
    if row.used_at is not None:
        # While this transaction waited for the row lock, another may have used the token after ``now``.
        since = max(now - row.used_at, timedelta(0))
        if row.revoked_at is None and since < grace:
            return RenewalFailed(just_now=True)
        if row.revoked_at is None:
            end_token_family(session, row.family, now)
            return RenewalFailed(reused_by=user)
        return RenewalFailed()
    if row.revoked_at is not None or row.expires_at <= now or not user.active:
        return RenewalFailed()
    row.used_at = now
    return RenewedSession(
        user, _insert_refresh_token(session, TokenFamily(row.family, user.id, row.signed_in), lives, now), row.family
    )


def touch_session(session: Session, family: str, lives: TokenLifetimes, now: datetime) -> UserRow | None:
    """Return the user of an active session and reset its idle timeout; None if it has ended."""
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
    row.expires_at = _expiry(row.signed_in, lives, now)
    return user


def end_session(session: Session, text: str, now: datetime) -> UserRow | None:
    """End the session of this token; return its user, or None if there is no such session or it has ended already."""
    row = session.get(RefreshTokenRow, hash_api_key(text), with_for_update=True)
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        return None
    end_token_family(session, row.family, now)
    return session.get_one(UserRow, row.user_id)


def end_token_family(session: Session, family: str, now: datetime) -> None:
    """End a session: revoke its refresh tokens and the access tokens of all its tabs."""
    revoke_sign_in(session, family, now)
    session.execute(
        update(RefreshTokenRow)
        .where(RefreshTokenRow.family == family, RefreshTokenRow.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def end_all_sessions(session: Session, user: UserRow, now: datetime) -> None:
    """End all sessions of a user."""
    session.execute(
        update(RefreshTokenRow)
        .where(RefreshTokenRow.user_id == user.id, RefreshTokenRow.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def end_sessions_of_everybody(session: Session, now: datetime) -> None:
    """End all sessions of all users."""
    session.execute(update(RefreshTokenRow).where(RefreshTokenRow.revoked_at.is_(None)).values(revoked_at=now))


def delete_expired_refresh_tokens(session: Session, now: datetime) -> None:
    session.execute(delete(RefreshTokenRow).where(RefreshTokenRow.expires_at < now))


def _expiry(signed_in: datetime, lives: TokenLifetimes, now: datetime) -> datetime:
    return min(now + lives.idle, signed_in + lives.absolute)


def _insert_refresh_token(
    session: Session, family: TokenFamily, lives: TokenLifetimes, now: datetime, prefix: str = REFRESH_TOKEN_PREFIX
) -> str:
    text = prefix + secrets.token_urlsafe(32)
    session.add(
        RefreshTokenRow(
            sha256=hash_api_key(text),
            family=family.id,
            user_id=family.user_id,
            signed_in=family.signed_in,
            created=now,
            expires_at=_expiry(family.signed_in, lives, now),
        )
    )
    session.flush()
    return text
