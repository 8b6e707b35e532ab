"""Failed logins in the database: lockouts grow with failures and hold for one address."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_
from sqlalchemy.orm import Session

from services.core.auth.tables import LoginAttemptRow
from services.core.database.connection import insert_if_new

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
