"""Signing in: from a name and password, a key or a refresh token to an access token."""

from __future__ import annotations

import hmac
import math
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from anyio import to_thread
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.core.access import tokens
from services.core.access.caller import Caller
from services.core.access.key_usage import KeyUse
from services.core.access.keys import digest
from services.core.access.roles import Role
from services.core.access.tables import ApiKeyRow, UserRow
from services.gateway import attempts, keys, refresh, revocations, users
from services.gateway.counters import Counters
from services.gateway.live_access import LiveAccess
from services.gateway.passwords import LONGEST, Passwords
from services.gateway.settings import GatewaySettings
from services.gateway.signing import SigningKeyStore
from services.gateway.trail import Origin, Trail

UNKNOWN = "(unknown)"
"""Stands in the audit log for a name that no user has: people type passwords into the wrong field."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``expires_in`` is in seconds; keys get no refresh token: they are their own."""

    caller: Caller
    access_token: str
    expires_in: int
    refresh_token: str | None = None
    must_change_password: bool = False


@dataclass(frozen=True, slots=True)
class NotSignedIn:
    """``wait_seconds``: nothing was checked, because too much was tried before. ``just_renewed``: another page
    of the same browser has done it."""

    wait_seconds: int = 0
    just_renewed: bool = False


class SignIn:
    def __init__(
        self,
        *,
        settings: GatewaySettings,
        engine: Engine,
        signing: SigningKeyStore,
        passwords: Passwords,
        access: LiveAccess,
        trail: Trail,
        counters: Counters,
    ) -> None:
        self._engine, self._signing, self._passwords = engine, signing, passwords
        self._access, self._trail, self._counters = access, trail, counters
        self._limits = attempts.Limits(settings.gateway_login_failures, settings.gateway_login_per_address)
        self.lives = refresh.Lives(
            timedelta(hours=settings.gateway_refresh_hours), timedelta(days=settings.gateway_session_days)
        )

    async def with_password(
        self, name: str, password: str, origin: Origin, *, entry: bool = False
    ) -> SignedIn | NotSignedIn:
        """With ``entry`` the refresh token is a code for ``/auth/enter``. The same work and the same answer
        whether the user does not exist, is not active or has another password."""
        name = users.normal_name(name)
        wait, stored = await to_thread.run_sync(self._begin, name, origin)
        if wait:
            self._counters.logins.labels("password", "limited").inc()
            return NotSignedIn(wait)
        right = await self._passwords.matches(stored, password) and len(password) <= LONGEST
        new_hash = None
        if right and stored is not None and self._passwords.outdated(stored):
            new_hash = await self._passwords.hashed(password)
        return await to_thread.run_sync(self._finish, name, stored if right else None, new_hash, origin, entry)

    def with_key(self, client_id: str, secret: str, origin: Origin) -> SignedIn | NotSignedIn:
        """A token for an API key, for clients that want to send the key itself only now and then."""
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            wait = attempts.begin(session, None, origin.address, self._limits, now)
            if wait:
                self._counters.logins.labels("client_credentials", "limited").inc()
                return NotSignedIn(math.ceil(wait))
            row = session.get(ApiKeyRow, client_id)
            right = row is not None and hmac.compare_digest(row.sha256, digest(secret))
            entry = next((e for e in keys.in_force(session, now) if e.id == client_id), None) if right else None
            if row is None or entry is None:
                self._trail.add(
                    session,
                    origin,
                    "login.failed",
                    by=None,
                    target=f"key {row.id if row is not None else UNKNOWN}",
                    outcome="refused",
                    grant="client_credentials",
                )
                self._counters.logins.labels("client_credentials", "failed").inc()
                return NotSignedIn()
            attempts.succeeded(session, None, origin.address, now)
            keys.count_uses(session, [KeyUse(id=row.id, last_used_at=now, uses=1)])
            caller = entry.caller()
            self._trail.add(session, origin, "login.ok", by=caller, grant="client_credentials")
        self._counters.logins.labels("client_credentials", "ok").inc()
        return self.issue(caller)

    def with_refresh_token(
        self, text: str, origin: Origin, grace: timedelta = timedelta(0), *, prefix: str = refresh.PREFIX
    ) -> SignedIn | NotSignedIn:
        """The next pair of tokens. A token that was used before ends the sign-in and every token of its user."""
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            found = refresh.renew(session, text, self.lives, now, grace, prefix=prefix)
            if isinstance(found, refresh.Renewed):
                caller, must_change = users.caller_of(session, found.user), found.user.must_change_password
            elif found.reused_by is not None:
                revocations.revoke_tokens_of(session, found.reused_by.id, now)
                owner = users.caller_of(session, found.reused_by)
                self._trail.add(session, origin, "token.reused", by=owner, outcome="refused")
        if isinstance(found, refresh.Renewed):
            self._counters.logins.labels("refresh_token", "ok").inc()
            return self.issue(caller, found.token, must_change, sid=found.family)
        if found.reused_by is not None:
            self._counters.token_reuse.inc()
            self._access.renew()
        self._counters.logins.labels("refresh_token", "failed").inc()
        return NotSignedIn(just_renewed=found.just_now)

    def with_session_token(self, text: str) -> SignedIn | NotSignedIn:
        """A fresh access token for one that may just have run out, as long as its sign-in lasts; which was
        used now."""
        claims = self._signing.session_claims(text)
        if claims is None or claims.sid is None or self._access.revoked(claims):
            return NotSignedIn()
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            user = refresh.use(session, claims.sid, self.lives, now)
            if user is None or user.id != claims.sub:
                return NotSignedIn()
            caller, must_change = users.caller_of(session, user), user.must_change_password
        return self.issue(caller, must_change_password=must_change, sid=claims.sid)

    def issue(
        self,
        caller: Caller,
        refresh_token: str | None = None,
        must_change_password: bool = False,
        *,
        sid: str | None = None,
        after: datetime | None = None,
    ) -> SignedIn:
        """``after``: tokens of the caller up to then were revoked, and this one is not."""
        now = time.time() if after is None else max(time.time(), after.timestamp() + 0.002)
        key = self._signing.current().signer(now)
        token, claims = tokens.issue(caller, key, jti=uuid.uuid4().hex, now=now, sid=sid)
        return SignedIn(caller, token, math.floor(claims.exp - now), refresh_token, must_change_password)

    def _begin(self, name: str, origin: Origin) -> tuple[int, str | None]:
        """The seconds to wait, and the hash to check against."""
        with Session(self._engine) as session, session.begin():
            wait = attempts.begin(session, name, origin.address, self._limits, datetime.now(UTC))
            user = users.find(session, name)
            return math.ceil(wait), user.password_hash if user is not None and user.active else None

    def _finish(
        self, name: str, matched: str | None, new_hash: str | None, origin: Origin, entry: bool
    ) -> SignedIn | NotSignedIn:
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            user = users.find(session, name)
            # Asked again: the user may have been changed while the password was checked.
            if matched is not None and user is not None and user.active and user.password_hash == matched:
                attempts.succeeded(session, name, origin.address, now)
                user.password_hash = new_hash or matched
                started = refresh.start(session, user, self.lives, now, entry=entry)
                caller, must_change = users.caller_of(session, user), user.must_change_password
                self._trail.add(session, origin, "login.ok", by=caller, grant="password")
            else:
                started = None
                self._record_failure(session, name, user, origin, now)
        self._counters.logins.labels("password", "failed" if started is None else "ok").inc()
        # Outside of the transaction: the signing keys are read in one of their own.
        if started is None:
            return NotSignedIn()
        return self.issue(caller, started.token, must_change, sid=started.family)

    def _record_failure(self, session: Session, name: str, user: UserRow | None, origin: Origin, now: datetime) -> None:
        target = f"user {user.name if user is not None else UNKNOWN}"
        by = Caller("user", "", user.name, Role.VIEWER, user.centre) if user is not None else None
        self._trail.add(session, origin, "login.failed", by=by, target=target, outcome="refused", grant="password")
        for subject in attempts.pauses(session, name, origin.address, now):
            self._trail.add(session, origin, "login.locked", by=by, target=target, outcome="refused", subject=subject)
            self._counters.lockouts.labels(subject).inc()
