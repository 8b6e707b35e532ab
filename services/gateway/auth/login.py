"""Login with a password, an API key or a refresh token.

Argon2id in a bounded thread pool; unknown users cost the same time (no user enumeration)."""

from __future__ import annotations

import hmac
import math
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from anyio import to_thread
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.core.auth import credentials
from services.core.auth.credentials import hash_api_key
from services.core.auth.principal import Principal, Role
from services.core.auth.snapshot_poller import ApiKeyUsage
from services.core.auth.tables import ApiKeyRow, UserRow
from services.gateway.api_keys import service as api_keys_service
from services.gateway.audit.service import AuditLog, RequestOrigin
from services.gateway.auth import db_authenticator, login_throttle, session_store
from services.gateway.auth.db_authenticator import DbAuthenticator, SigningKeyStore
from services.gateway.auth.passwords import MAX_PASSWORD_LENGTH, PasswordService
from services.gateway.auth.second_factor import SecondFactor
from services.gateway.metrics import GatewayMetrics
from services.gateway.settings import GatewaySettings
from services.gateway.users import service as users_service

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


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """A rejected login. ``wait_seconds``: throttled after failed attempts, nothing was verified. ``just_renewed``:
    another page of the same browser has already renewed the session. ``needs_code``: the password is right, and the
    second factor's code is missing."""

    wait_seconds: int = 0
    just_renewed: bool = False
    needs_code: bool = False


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
        second_factor: SecondFactor,
    ) -> None:
        self._second_factor = second_factor
        self._engine, self._signing, self._passwords = engine, signing, passwords
        self._access, self._trail, self._counters = access, trail, counters
        self._limits = login_throttle.LoginLimits(settings.gateway_login_failures, settings.gateway_login_per_address)
        self.lifetimes = session_store.TokenLifetimes(
            timedelta(hours=settings.gateway_refresh_hours), timedelta(days=settings.gateway_session_days)
        )

    async def with_password(
        self, name: str, password: str, origin: RequestOrigin, *, entry: bool = False, code: str | None = None
    ) -> LoginSucceeded | LoginFailed:
        """Log in with a password; unknown user, inactive user and wrong password take the same time and are the same
        result. With ``entry`` the refresh token is a one-time code for ``/auth/enter``; ``code`` is the one of the
        second factor."""
        name = users_service.normalize_name(name)
        wait, stored = await to_thread.run_sync(self._begin, name, origin)
        if wait:
            self._counters.logins.labels("password", "limited").inc()
            return LoginFailed(wait)
        right = await self._passwords.matches(stored, password) and len(password) <= MAX_PASSWORD_LENGTH
        new_hash = None
        if right and stored is not None and self._passwords.needs_rehash(stored):
            new_hash = await self._passwords.hash_async(password)
        return await to_thread.run_sync(self._finish, name, stored if right else None, new_hash, origin, entry, code)

    def with_key(self, client_id: str, secret: str, origin: RequestOrigin) -> LoginSucceeded | LoginFailed:
        """Issue a token for an API key, for clients that do not want to send the key with each request."""
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            wait = login_throttle.begin_attempt(session, None, origin.address, self._limits, now)
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
            login_throttle.record_success(session, None, origin.address, now)
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
                caller = self.principal(session, found.user)
            elif found.reused_by is not None:
                db_authenticator.revoke_tokens_of(session, found.reused_by.id, now)
                owner = users_service.user_principal(session, found.reused_by)
                self._trail.add(session, origin, "token.reused", by=owner, outcome="refused")
        if isinstance(found, session_store.RenewedSession):
            self._counters.logins.labels("refresh_token", "ok").inc()
            return self.issue(caller, found.token, sid=found.family)
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
            caller = self.principal(session, user)
        return self.issue(caller, sid=claims.sid)

    def start_external_session(
        self, session: Session, user: UserRow, origin: RequestOrigin, now: datetime
    ) -> tuple[Principal, str, str]:
        """Start a session for a user whom an identity provider has verified; return principal, refresh token, family.

        ``issue`` the access token after the transaction."""
        started = session_store.start_session(session, user, self.lifetimes, now)
        caller = users_service.user_principal(session, user)
        self._trail.add(session, origin, "login.ok", by=caller, grant="oidc")
        self._counters.logins.labels("oidc", "ok").inc()
        return caller, started.token, started.family

    def principal(self, session: Session, user: UserRow) -> Principal:
        """Build the principal of a user who signed in with a password, with what is pending for that."""
        caller = users_service.user_principal(session, user)
        if caller.pending or user.external_subject is not None or not self._second_factor.must_enrol(user):
            return caller
        return replace(caller, pending="second_factor")

    def issue(
        self,
        caller: Principal,
        refresh_token: str | None = None,
        *,
        sid: str | None = None,
        after: datetime | None = None,
    ) -> LoginSucceeded:
        """Issue an access token. ``after``: the caller's tokens up to then were revoked, so this one is dated later."""
        now = time.time() if after is None else max(time.time(), after.timestamp() + 0.002)
        key = self._signing.current().signer(now)
        token, claims = credentials.issue_token(caller, key, jti=uuid.uuid4().hex, now=now, sid=sid)
        return LoginSucceeded(caller, token, math.floor(claims.exp - now), refresh_token)

    def _begin(self, name: str, origin: RequestOrigin) -> tuple[int, str | None]:
        """Register an attempt: the seconds to wait, and the stored hash to verify against."""
        with Session(self._engine) as session, session.begin():
            wait = login_throttle.begin_attempt(session, name, origin.address, self._limits, datetime.now(UTC))
            user = users_service.find_user(session, name)
            return math.ceil(wait), user.password_hash if user is not None and user.active else None

    def _finish(  # noqa: PLR0917
        self, name: str, matched: str | None, new_hash: str | None, origin: RequestOrigin, entry: bool, code: str | None
    ) -> LoginSucceeded | LoginFailed:
        now = datetime.now(UTC)
        with Session(self._engine) as session, session.begin():
            user = users_service.find_user(session, name)
            # Read again: the user may have been changed while the password was being verified.
            right = matched is not None and user is not None and user.active and user.password_hash == matched
            if right and user is not None and self._second_factor.is_active(user):
                if code is None:
                    return LoginFailed(needs_code=True)
                right = self._second_factor.accept(user, code)
            if right and user is not None and matched is not None:
                login_throttle.record_success(session, name, origin.address, now)
                user.password_hash = new_hash or matched
                started = session_store.start_session(session, user, self.lifetimes, now, entry=entry)
                caller = self.principal(session, user)
                self._trail.add(session, origin, "login.ok", by=caller, grant="password")
            else:
                started = None
                self._record_failure(session, name, user, origin, now)
        self._counters.logins.labels("password", "failed" if started is None else "ok").inc()
        # Outside of the transaction: signing keys are read in one of their own.
        if started is None:
            return LoginFailed()
        return self.issue(caller, started.token, sid=started.family)

    def _record_failure(
        self, session: Session, name: str, user: UserRow | None, origin: RequestOrigin, now: datetime
    ) -> None:
        target = f"user {user.name if user is not None else UNKNOWN_SUBJECT}"
        by = Principal("user", "", user.name, Role.VIEWER, user.centre) if user is not None else None
        self._trail.add(session, origin, "login.failed", by=by, target=target, outcome="refused", grant="password")
        for subject in login_throttle.active_lockouts(session, name, origin.address, now):
            self._trail.add(session, origin, "login.locked", by=by, target=target, outcome="refused", subject=subject)
            self._counters.lockouts.labels(subject).inc()
