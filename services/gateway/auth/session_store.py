"""Login state in the database: failed attempts and refresh tokens.

Lockouts grow with failures and hold for one address; a refresh token works once, and its reuse ends the session."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from services.core.auth.credentials import hash_api_key
from services.core.auth.tables import LoginAttemptRow, RefreshTokenRow, UserRow
from services.core.database.connection import insert_if_new
from services.gateway.auth.db_authenticator import revoke_sign_in

FIRST_LOCKOUT, MAX_LOCKOUT = timedelta(seconds=30), timedelta(minutes=15)
FAILURE_RETENTION = timedelta(hours=24)
"""Failed logins of a user are forgotten this long after the last one."""
ADDRESS_WINDOW = timedelta(minutes=5)
"""Window in which failures of an address are counted."""
KNOWN_ADDRESS_RETENTION = timedelta(days=90)
"""An address stays one of a user's this long after the last sign-in from it."""
ADDRESSES_PER_USER = 4
"""As many times the failures of one address may come from all addresses together before a user is locked out of new
ones."""
_PAIR, _KNOWN = "pair", "known"


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """Failed logins allowed per user and per address."""

    per_user: int
    per_address: int


def user_subject(name: str) -> str:
    """Key of a user name, existing or not; hashed, because people type passwords into the wrong field."""
    return "user:" + hashlib.sha256(name.encode()).hexdigest()


def address_subject(address: str) -> str:
    """Key of an IPv4 address, or of the /64 network that one IPv6 customer has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "address:unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return f"address:{ipaddress.ip_network((parsed, 64), strict=False).network_address}/64"
    return f"address:{parsed}"


def begin_attempt(session: Session, name: str | None, address: str, limits: LoginLimits, now: datetime) -> float:
    """Count a login attempt of a user (None: of an API key, whose secret cannot be guessed) from an address.

    A user's failures are counted by address. Those of all addresses together lock the user out only where they have not
    signed in from before: nobody keeps somebody else out from afar. Keys and people have addresses counted apart.

    Returns 0 if it may proceed, else the seconds to wait. Attempts during a lockout are not counted, so that it ends.
    ``record_success`` undoes the count."""
    where = _attempt_row(session, _place(name, address), now)
    if now - where.since >= ADDRESS_WINDOW:
        where.failures, where.since, where.locked_until = 0, now, None
    if where.failures >= limits.per_address:
        return max(1.0, (where.since + ADDRESS_WINDOW - now).total_seconds())
    if name is not None:
        counted = [(_pair_subject(name, address), limits.per_user)]
        if session.get(LoginAttemptRow, _pair_subject(name, address, _KNOWN)) is None:
            counted.append((user_subject(name), limits.per_user * ADDRESSES_PER_USER))
        rows = [(_attempt_row(session, subject, now), allowed) for subject, allowed in counted]
        for row, _ in rows:
            if row.locked_until is not None and row.locked_until > now:
                return max(1.0, (row.locked_until - now).total_seconds())
        for row, allowed in rows:
            if now - row.last >= FAILURE_RETENTION:
                row.failures, row.since = 0, now
            row.failures += 1
            row.last = now
            pause = _lockout_duration(row.failures, allowed)
            row.locked_until = now + pause if pause else None
    where.failures += 1
    where.last = now
    if where.failures >= limits.per_address:
        where.locked_until = where.since + ADDRESS_WINDOW
    return 0.0


def record_success(session: Session, name: str | None, address: str, now: datetime) -> None:
    """Reset a user's failures from the address, and remember it as one of theirs; failures of others stay."""
    where = _attempt_row(session, _place(name, address), now)
    where.failures, where.locked_until = max(0, where.failures - 1), None
    if name is not None:
        known = _pair_subject(name, address, _KNOWN)
        subjects = [_pair_subject(name, address)]
        if session.get(LoginAttemptRow, known) is None:
            subjects.append(user_subject(name))
        session.execute(delete(LoginAttemptRow).where(LoginAttemptRow.subject.in_(subjects)))
        _attempt_row(session, known, now).last = now


def active_lockouts(session: Session, name: str, address: str, now: datetime) -> list[str]:
    """Return which of ``user`` and ``address`` are locked out now."""
    subjects = {
        "user": (_pair_subject(name, address), user_subject(name)),
        "address": (address_subject(address),),
    }
    rows = {kind: [session.get(LoginAttemptRow, subject) for subject in given] for kind, given in subjects.items()}
    return [
        kind
        for kind, found in rows.items()
        if any(row is not None and row.locked_until is not None and row.locked_until > now for row in found)
    ]


def clear_lockout(session: Session, name: str) -> None:
    """End a user's lockouts after an administrator set a new password."""
    pairs = LoginAttemptRow.subject.startswith(f"{_PAIR}:{_short_hash(name)}:")
    session.execute(delete(LoginAttemptRow).where(or_(LoginAttemptRow.subject == user_subject(name), pairs)))


def delete_expired_attempts(session: Session, now: datetime) -> None:
    known = LoginAttemptRow.subject.startswith(f"{_KNOWN}:")
    session.execute(delete(LoginAttemptRow).where(~known, LoginAttemptRow.last < now - FAILURE_RETENTION))
    session.execute(delete(LoginAttemptRow).where(known, LoginAttemptRow.last < now - KNOWN_ADDRESS_RETENTION))


def _place(name: str | None, address: str) -> str:
    """Key of the address for people, or for API keys: broken clients do not lock out the people beside them."""
    return address_subject(address) if name is not None else f"keys-{address_subject(address)}"


def _pair_subject(name: str, address: str, kind: str = _PAIR) -> str:
    return f"{kind}:{_short_hash(name)}:{_short_hash(address_subject(address))}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _lockout_duration(failures: int, allowed: int) -> timedelta:
    if failures < allowed:
        return timedelta(0)
    return min(MAX_LOCKOUT, FIRST_LOCKOUT * 2 ** min(20, failures - allowed))


def _attempt_row(session: Session, subject: str, now: datetime) -> LoginAttemptRow:
    """Return the subject's row, created if missing and locked: attempts are serialized."""
    values = {"subject": subject, "failures": 0, "since": now, "last": now}
    session.execute(insert_if_new(session.connection(), LoginAttemptRow).values(values))
    return session.get_one(LoginAttemptRow, subject, with_for_update=True, populate_existing=True)


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
