"""Guessing passwords is made slow: growing pauses per user, a limit per address. Both are counted in the
database, so that replicas share them, and before the password is checked, so that many guesses at once gain nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.core.access.tables import LoginAttemptRow

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)
FORGOTTEN = timedelta(hours=24)
"""A user's failed sign-ins count so long after the last one."""
WINDOW = timedelta(minutes=5)
"""Over which an address's are counted."""


@dataclass(frozen=True, slots=True)
class Limits:
    per_user: int
    per_address: int


def user_subject(name: str) -> str:
    """Whether or not there is such a user; hashed, because people type passwords into the wrong field."""
    return "user:" + hashlib.sha256(name.encode()).hexdigest()


def address_subject(address: str) -> str:
    """An IPv4 address, or the /64 network that one IPv6 customer has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "address:unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return f"address:{ipaddress.ip_network((parsed, 64), strict=False).network_address}/64"
    return f"address:{parsed}"


def begin(session: Session, name: str | None, address: str, limits: Limits, now: datetime) -> float:
    """Count an attempt of a user (None: of a key, whose secret nobody guesses) from an address. Returns 0
    if it may go on, else the seconds to wait; attempts during a pause are not counted, so that a pause
    ends. ``succeeded`` takes the attempt back."""
    where = _row(session, address_subject(address), now)
    if now - where.since >= WINDOW:
        where.failures, where.since, where.locked_until = 0, now, None
    if where.failures >= limits.per_address:
        return max(1.0, (where.since + WINDOW - now).total_seconds())
    if name is not None:
        who = _row(session, user_subject(name), now)
        if who.locked_until is not None and who.locked_until > now:
            return max(1.0, (who.locked_until - now).total_seconds())
        if now - who.last >= FORGOTTEN:
            who.failures, who.since = 0, now
        who.failures += 1
        who.last = now
        pause = _pause(who.failures, limits.per_user)
        who.locked_until = now + pause if pause else None
    where.failures += 1
    where.last = now
    if where.failures >= limits.per_address:
        where.locked_until = where.since + WINDOW
    return 0.0


def succeeded(session: Session, name: str | None, address: str, now: datetime) -> None:
    """Forget a user's failures; the address keeps those of other users."""
    where = _row(session, address_subject(address), now)
    where.failures, where.locked_until = max(0, where.failures - 1), None
    if name is not None:
        unlock(session, name)


def pauses(session: Session, name: str, address: str, now: datetime) -> list[str]:
    """Which of the two, ``user`` and ``address``, have to wait now."""
    found = []
    for kind, subject in (("user", user_subject(name)), ("address", address_subject(address))):
        row = session.get(LoginAttemptRow, subject)
        if row is not None and row.locked_until is not None and row.locked_until > now:
            found.append(kind)
    return found


def unlock(session: Session, name: str) -> None:
    """End a user's pause: an administrator set a new password."""
    session.execute(delete(LoginAttemptRow).where(LoginAttemptRow.subject == user_subject(name)))


def forget_old(session: Session, now: datetime) -> None:
    session.execute(delete(LoginAttemptRow).where(LoginAttemptRow.last < now - FORGOTTEN))


def _pause(failures: int, allowed: int) -> timedelta:
    if failures < allowed:
        return timedelta(0)
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(20, failures - allowed))


def _row(session: Session, subject: str, now: datetime) -> LoginAttemptRow:
    """The subject's row, made if need be, and locked: one attempt after the other."""
    values = {"subject": subject, "failures": 0, "since": now, "last": now}
    if session.get_bind().dialect.name == "postgresql":
        session.execute(postgresql.insert(LoginAttemptRow).values(values).on_conflict_do_nothing())
    else:
        session.execute(sqlite.insert(LoginAttemptRow).values(values).on_conflict_do_nothing())
    return session.get_one(LoginAttemptRow, subject, with_for_update=True, populate_existing=True)
