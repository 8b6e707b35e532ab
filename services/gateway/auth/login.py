"""Login with a password, an API key or a refresh token.

Argon2id in a bounded thread pool; unknown users cost the same time (no user enumeration)."""

from __future__ import annotations

import hmac
import math
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from zxcvbn import zxcvbn

from services.core.auth import credentials
from services.core.auth.credentials import hash_api_key
from services.core.auth.principal import Principal, Role
from services.core.auth.snapshot_poller import ApiKeyUsage
from services.core.auth.tables import ApiKeyRow, UserRow
from services.core.errors import VigieError
from services.core.web.errors import http_error
from services.gateway.api_keys import service as api_keys_service
from services.gateway.audit.service import AuditLog, RequestOrigin
from services.gateway.auth import db_authenticator, session_store
from services.gateway.auth.db_authenticator import DbAuthenticator, SigningKeyStore
from services.gateway.metrics import GatewayMetrics
from services.gateway.settings import GatewaySettings
from services.gateway.users import service as users_service

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 128
MIN_PASSWORD_SCORE = 3
"""zxcvbn's score of a password that stands at least 10^8 guesses: common passwords, words and keyboard rows do not."""
_MAX_WAITING_PER_THREAD = 20


class PasswordService:
    """Hashes and verifies passwords with one set of parameters (argon2's defaults: 64 MB, three passes)."""

    def __init__(self, threads: int, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._limiter = anyio.CapacityLimiter(threads)
        self._most_waiting = threads * _MAX_WAITING_PER_THREAD
        self._dummy = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    async def hash_async(self, password: str) -> str:
        """Run ``hash`` off the event loop."""
        self._refuse_when_overloaded()
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Verify ``password`` against a stored hash. Without one (unknown user) the same work is done and the result is
        False, so that the response time reveals nothing.

        Raises:
            HttpError: 503, more logins are queued than can be verified within a few seconds.
        """
        self._refuse_when_overloaded()
        right = await to_thread.run_sync(self._matches, stored or self._dummy, password, limiter=self._limiter)
        return right and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        """Whether the hash was created with other parameters than the current ones."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password[:MAX_PASSWORD_LENGTH])
        except (VerificationError, InvalidHashError):
            return False

    def _refuse_when_overloaded(self) -> None:
        if self._limiter.statistics().tasks_waiting >= self._most_waiting:
            raise http_error(
                503, "service_unavailable", "Too many people sign in at once; try again.", headers={"Retry-After": "2"}
            )


def generate_password() -> str:
    """Generate a random password of 144 bits."""
    return secrets.token_urlsafe(18)


def check_password_policy(password: str, name: str) -> None:
    """Check a new password.

    Raises:
        VigieError: the password is too short, too long or too easy to guess for the user ``name``.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise VigieError(
            "The password is too short." if len(password) < MIN_PASSWORD_LENGTH else "The password is too long.",
            expected=f"{MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters",
            action="A few unrelated words are easy to remember and hard to guess.",
        )
    # zxcvbn takes up to 72 characters; what is longer is not made easier by its end.
    guessable = zxcvbn(password[:72], user_inputs=[name, "vigie"])["score"] < MIN_PASSWORD_SCORE
    if name.lower() in password.lower() or guessable:
        raise VigieError(
            "The password is too easy to guess.",
            expected="no common password, no keyboard row, no repetition and not the user's name",
            action="A few unrelated words are easy to remember and hard to guess.",
        )


UNKNOWN_SUBJECT = "(unknown)"
"""Logged instead of a name that no user has: people type passwords into the wrong field."""


@dataclass(frozen=True, slots=True)
class LoginSucceeded:
    """Tokens of a successful login. ``expires_in`` is in seconds; API keys get no refresh token, since the key can be
    used again."""

    caller: Principal
    access_token: str
    expires_in: int
    refresh_token: str | None = None
    must_change_password: bool = False


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """A rejected login. ``wait_seconds``: throttled after failed attempts, nothing was verified. ``just_renewed``:
    another page of the same browser has already renewed the session."""

    wait_seconds: int = 0
    just_renewed: bool = False


class LoginService:
    """Authenticates by password, API key, refresh or session token, and issues tokens."""

    def __init__(
        self,
        *,
        settings: GatewaySettings,
        engine: Engine,
        signing: SigningKeyStore,
        passwords: PasswordService,
        access: DbAuthenticator,
        trail: AuditLog,
        counters: GatewayMetrics,
    ) -> None:
        self._engine, self._signing, self._passwords = engine, signing, passwords
        self._access, self._trail, self._counters = access, trail, counters
        self._limits = session_store.LoginLimits(settings.gateway_login_failures, settings.gateway_login_per_address)
        self.lifetimes = session_store.TokenLifetimes(
            timedelta(hours=settings.gateway_refresh_hours), timedelta(days=settings.gateway_session_days)
        )

    async def with_password(
        self, name: str, password: str, origin: RequestOrigin, *, entry: bool = False
    ) -> LoginSucceeded | LoginFailed:
        """Log in with a password; unknown user, inactive user and wrong password take the same time and are the same
        result. With ``entry`` the refresh token is a one-time code for ``/auth/enter``."""
        name = users_service.normalize_name(name)
        wait, stored = await to_thread.run_sync(self._begin, name, origin)
        if wait:
            self._counters.logins.labels("password", "limited").inc()
            return LoginFailed(wait)
        right = await self._passwords.matches(stored, password) and len(password) <= MAX_PASSWORD_LENGTH
        new_hash = None
        if right and stored is not None and self._passwords.needs_rehash(stored):
            new_hash = await self._passwords.hash_async(password)
        return await to_thread.run_sync(self._finish, name, stored if right else None, new_hash, origin, entry)

    def with_key(self, client_id: str, secret: str, origin: RequestOrigin) -> LoginSucceeded | LoginFailed:
        """Issue a token for an API key, for clients that do not want to send the key with each request."""
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            wait = session_store.begin_attempt(session, None, origin.address, self._limits, now)
            if wait:
                self._counters.logins.labels("client_credentials", "limited").inc()
                return LoginFailed(math.ceil(wait))
            row = session.get(ApiKeyRow, client_id)
            right = row is not None and hmac.compare_digest(row.sha256, hash_api_key(secret))
            entry = (
                next((e for e in api_keys_service.active_api_keys(session, now) if e.id == client_id), None)
                if right
                else None
            )
            if row is None or entry is None:
                self._trail.add(
                    session,
                    origin,
                    "login.failed",
                    by=None,
                    target=f"key {row.id if row is not None else UNKNOWN_SUBJECT}",
                    outcome="refused",
                    grant="client_credentials",
                )
                self._counters.logins.labels("client_credentials", "failed").inc()
                return LoginFailed()
            session_store.record_success(session, None, origin.address, now)
            api_keys_service.record_api_key_usage(session, [ApiKeyUsage(id=row.id, last_used_at=now, uses=1)])
            caller = entry.caller()
            self._trail.add(session, origin, "login.ok", by=caller, grant="client_credentials")
        self._counters.logins.labels("client_credentials", "ok").inc()
        return self.issue(caller)

    def with_refresh_token(
        self,
        text: str,
        origin: RequestOrigin,
        grace: timedelta = timedelta(0),
        *,
        prefix: str = session_store.REFRESH_TOKEN_PREFIX,
    ) -> LoginSucceeded | LoginFailed:
        """Rotate a refresh token. Reuse of an old one ends the session and revokes every token of its user."""
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            found = session_store.rotate_refresh_token(session, text, self.lifetimes, now, grace, prefix=prefix)
            if isinstance(found, session_store.RenewedSession):
                caller, must_change = users_service.user_principal(session, found.user), found.user.must_change_password
            elif found.reused_by is not None:
                db_authenticator.revoke_tokens_of(session, found.reused_by.id, now)
                owner = users_service.user_principal(session, found.reused_by)
                self._trail.add(session, origin, "token.reused", by=owner, outcome="refused")
        if isinstance(found, session_store.RenewedSession):
            self._counters.logins.labels("refresh_token", "ok").inc()
            return self.issue(caller, found.token, must_change, sid=found.family)
        if found.reused_by is not None:
            self._counters.token_reuse.inc()
            self._access.renew()
        self._counters.logins.labels("refresh_token", "failed").inc()
        return LoginFailed(just_renewed=found.just_now)

    def with_session_token(self, text: str) -> LoginSucceeded | LoginFailed:
        """Issue a new access token for one that may have just expired, if its session is still active; counts as use of
        the session."""
        claims = self._signing.session_claims(text)
        if claims is None or claims.sid is None or self._access.revoked(claims):
            return LoginFailed()
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            user = session_store.touch_session(session, claims.sid, self.lifetimes, now)
            if user is None or user.id != claims.sub:
                return LoginFailed()
            caller, must_change = users_service.user_principal(session, user), user.must_change_password
        return self.issue(caller, must_change_password=must_change, sid=claims.sid)

    def issue(
        self,
        caller: Principal,
        refresh_token: str | None = None,
        must_change_password: bool = False,
        *,
        sid: str | None = None,
        after: datetime | None = None,
    ) -> LoginSucceeded:
        """Issue an access token. ``after``: the caller's tokens up to then were revoked, so this one is dated later."""
        now = time.time() if after is None else max(time.time(), after.timestamp() + 0.002)
        key = self._signing.current().signer(now)
        token, claims = credentials.issue_token(caller, key, jti=uuid.uuid4().hex, now=now, sid=sid)
        return LoginSucceeded(caller, token, math.floor(claims.exp - now), refresh_token, must_change_password)

    def _begin(self, name: str, origin: RequestOrigin) -> tuple[int, str | None]:
        """Register an attempt: the seconds to wait, and the stored hash to verify against."""
        with Session(self._engine) as session, session.begin():
            wait = session_store.begin_attempt(session, name, origin.address, self._limits, datetime.now(UTC))
            user = users_service.find_user(session, name)
            return math.ceil(wait), user.password_hash if user is not None and user.active else None

    def _finish(
        self, name: str, matched: str | None, new_hash: str | None, origin: RequestOrigin, entry: bool
    ) -> LoginSucceeded | LoginFailed:
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            user = users_service.find_user(session, name)
            # Read again: the user may have been changed while the password was being verified.
            if matched is not None and user is not None and user.active and user.password_hash == matched:
                session_store.record_success(session, name, origin.address, now)
                user.password_hash = new_hash or matched
                started = session_store.start_session(session, user, self.lifetimes, now, entry=entry)
                caller, must_change = users_service.user_principal(session, user), user.must_change_password
                self._trail.add(session, origin, "login.ok", by=caller, grant="password")
            else:
                started = None
                self._record_failure(session, name, user, origin, now)
        self._counters.logins.labels("password", "failed" if started is None else "ok").inc()
        # Outside of the transaction: signing keys are read in one of their own.
        if started is None:
            return LoginFailed()
        return self.issue(caller, started.token, must_change, sid=started.family)

    def _record_failure(
        self, session: Session, name: str, user: UserRow | None, origin: RequestOrigin, now: datetime
    ) -> None:
        target = f"user {user.name if user is not None else UNKNOWN_SUBJECT}"
        by = Principal("user", "", user.name, Role.VIEWER, user.centre) if user is not None else None
        self._trail.add(session, origin, "login.failed", by=by, target=target, outcome="refused", grant="password")
        for subject in session_store.active_lockouts(session, name, origin.address, now):
            self._trail.add(session, origin, "login.locked", by=by, target=target, outcome="refused", subject=subject)
            self._counters.lockouts.labels(subject).inc()
