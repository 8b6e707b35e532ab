"""Authenticates callers from the database.

Holds encrypted signing keys with rotation, token revocations, and the snapshot for other services."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import structlog
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Engine, delete, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.core.auth.credentials import (
    LEEWAY_SECONDS,
    LIFETIME_SECONDS,
    AccessClaims,
    PublicKeys,
    SigningKey,
    SigningKeyRing,
)
from services.core.auth.principal import AuthError, AuthErrorCode, Principal
from services.core.auth.snapshot import AuthSnapshot, AuthSnapshotDocument, JsonWebKeySet, Revocation
from services.core.auth.snapshot_poller import ApiKeyUsageCounter
from services.core.auth.tables import RevocationRow, SigningKeyRow
from services.core.background import PeriodicThread
from services.core.errors import VigieError
from services.gateway.api_keys import service as api_keys_service
from services.gateway.models.withdrawals import withdrawals

_RETENTION = timedelta(seconds=LIFETIME_SECONDS + 2 * LEEWAY_SECONDS + 1)


def revoke_token(session: Session, jti: str, now: datetime) -> None:
    """Revoke one token by its id."""
    session.merge(RevocationRow(kind="jti", value=jti, issued_before=now, until=now + _RETENTION))


def revoke_sign_in(session: Session, sid: str, now: datetime) -> None:
    """Revoke all tokens of a sign-in: each tab of a browser has one of its own."""
    session.merge(RevocationRow(kind="sid", value=sid, issued_before=now, until=now + _RETENTION))


def revoke_tokens_of(session: Session, owner: str, now: datetime) -> None:
    """Revoke all tokens issued so far to a user or key (by id); later logins are not affected."""
    session.merge(RevocationRow(kind="sub", value=owner, issued_before=now, until=now + _RETENTION))


def active_revocations(session: Session, now: datetime) -> list[Revocation]:
    rows = session.scalars(select(RevocationRow).where(RevocationRow.until > now).order_by(RevocationRow.value))
    return [_revocation(row) for row in rows]


def _revocation(row: RevocationRow) -> Revocation:
    if row.kind == "sub":
        return Revocation(sub=row.value, before=row.issued_before, until=row.until)
    # A service of 0.1.0 knows no sid and refuses a list with an entry that names nothing: it reads a jti that none has.
    return Revocation(jti=row.value, sid=row.value if row.kind == "sid" else None, until=row.until)


def delete_expired_revocations(session: Session, now: datetime) -> None:
    session.execute(delete(RevocationRow).where(RevocationRow.until < now))


ROTATION_LOCK = 7_206_513
"""PostgreSQL advisory lock of key rotations."""
_KEY_CACHE_SECONDS = 5.0
_EXPIRED_TOKEN_GRACE_SECONDS = 86_400.0


class SigningKeyStore:
    """Signing keys in the database, encrypted, with an in-memory copy of at most five seconds of age.

    A new key is published for two minutes before it signs, so that all replicas know it by then."""

    def __init__(self, engine: Engine, fernet: Fernet) -> None:
        self._engine, self._fernet = engine, fernet
        self._lock = threading.Lock()
        self._keys = SigningKeyRing(())
        self._looked = float("-inf")

    def current(self) -> SigningKeyRing:
        with self._lock:
            if time.monotonic() - self._looked > _KEY_CACHE_SECONDS:
                with Session(self._engine) as session:
                    self._keys = self._load(session)
                self._looked = time.monotonic()
            return self._keys

    def session_claims(self, text: str) -> AccessClaims | None:
        """Return the claims of a token of this platform, also an expired one whose session may still be active. Only
        for renewal and revocation."""
        now = time.time()
        claims = PublicKeys(self.current().jwks(now)["keys"]).verify(
            text, now, expired_for_seconds=_EXPIRED_TOKEN_GRACE_SECONDS
        )
        return claims if isinstance(claims, AccessClaims) else None

    def rotate_if_due(self, every_seconds: float) -> bool:
        """Create a key if there is none or the newest is due for rotation. Safe in concurrent replicas."""
        with Session(self._engine) as session, session.begin():
            self.lock_rotation(session)
            if not self._load(session).due(time.time(), every_seconds):
                return False
            self.rotate(session)
        self.forget()
        return True

    def rotate(self, session: Session, *, compromised: bool = False) -> SigningKey:
        """Add a key that signs after the lead time; call ``forget`` after the commit.

        With ``compromised`` it signs at once and every token of an older key is rejected: all users log in again."""
        self.lock_rotation(session)
        now = time.time()
        if compromised:
            for row in session.scalars(select(SigningKeyRow).where(SigningKeyRow.retires_at.is_(None))):
                row.retires_at = datetime.now(UTC)
            session.flush()
        key = self._load(session).rotated(now).keys[-1]
        session.add(
            SigningKeyRow(
                kid=key.kid,
                public_jwk=key.public_jwk(),
                private_key=self._fernet.encrypt(key.pem().encode()).decode(),
                created=datetime.fromtimestamp(now, UTC),
                signs_from=datetime.fromtimestamp(key.signs_from, UTC),
            )
        )
        session.flush()
        self._drop_retired(session, now)
        return key

    def forget(self) -> None:
        """Invalidate the in-memory copy after the keys were changed."""
        with self._lock:
            self._looked = float("-inf")

    def lock_rotation(self, session: Session) -> None:
        """Serialize rotations across gateways until the transaction ends."""
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text(f"SELECT pg_advisory_xact_lock({ROTATION_LOCK})"))

    def _drop_retired(self, session: Session, now: float) -> None:
        """Delete private keys that are no longer published."""
        published = {key.kid for key in self._load(session).published(now)}
        for row in session.scalars(select(SigningKeyRow)):
            if row.kid not in published:
                session.delete(row)

    def _load(self, session: Session) -> SigningKeyRing:
        rows = session.scalars(select(SigningKeyRow).where(SigningKeyRow.retires_at.is_(None)))
        return SigningKeyRing.of(*(self._decrypted(row) for row in rows))

    def _decrypted(self, row: SigningKeyRow) -> SigningKey:
        try:
            pem = self._fernet.decrypt(row.private_key.encode()).decode()
        except InvalidToken:
            raise VigieError(
                "The signing keys in the database were encrypted with another key.",
                expected="the VIGIE_GATEWAY_KEY_ENCRYPTION that they were made with",
                action="Put that key back, or remove the rows of signing_keys: everybody signs in again.",
            ) from None
        return SigningKey.from_pem(row.kid, pem, row.signs_from.timestamp())


def create_fernet(secret: str | None) -> Fernet:
    """Return the cipher of the configured encryption key.

    Raises:
        VigieError: the key is not set or not a Fernet key.
    """
    try:
        if secret:
            return Fernet(secret)
    except ValueError:
        pass
    raise VigieError(
        "The gateway has no key to encrypt its signing keys with." if not secret else "The gateway's key is not a key.",
        expected="VIGIE_GATEWAY_KEY_ENCRYPTION with 32 random bytes in URL-safe base64",
        action="Run ./vigie init, or make one: python -c 'import base64, os; "
        "print(base64.urlsafe_b64encode(os.urandom(32)).decode())'",
    )


log = structlog.get_logger(__name__)

SNAPSHOT_POLL_SECONDS = 2.0
"""Seconds until a change by another replica takes effect here."""
USAGE_FLUSH_SECONDS = 15.0


class DbAuthenticator:
    """``Authenticator`` on an in-memory snapshot of the database, refreshed by a thread.

    Call ``renew`` after a change made by this process, so that it takes effect at once."""

    def __init__(self, engine: Engine, signing: SigningKeyStore) -> None:
        self._engine, self._signing = engine, signing
        self._list: AuthSnapshot | None = None
        self._renewing = threading.Lock()
        self._usage = ApiKeyUsageCounter()
        self._written, self._failing = 0.0, False
        self._thread = PeriodicThread("live-access", self._turn, SNAPSHOT_POLL_SECONDS, at_once=False)

    def verify(self, credential: str | None) -> Principal | AuthError:
        if credential is None:
            return AuthError(AuthErrorCode.MISSING)
        if self._list is None:
            return AuthError(AuthErrorCode.NO_LIST)
        found = self._list.verify(credential, now := time.time())
        if isinstance(found, Principal) and found.kind == "key":
            self._usage.count(found.id, now)
        return found

    def revoked(self, claims: AccessClaims) -> bool:
        """Whether the token with these claims was revoked; True if there is no snapshot to tell."""
        return self._list is None or self._list.is_revoked(claims)

    def document(self) -> AuthSnapshotDocument:
        """Return the current auth snapshot."""
        now = datetime.now(UTC)
        with Session(self._engine) as session:
            entries, revoked = api_keys_service.active_api_keys(session, now), active_revocations(session, now)
            withdrawn, lifted = withdrawals(session)
        jwks = self._signing.current().jwks(now.timestamp())
        return AuthSnapshotDocument(
            issued_at=now,
            jwks=JsonWebKeySet(**jwks),
            keys=entries,
            revoked=revoked,
            withdrawn=withdrawn,
            lifted=lifted,
        )

    def renew(self) -> None:
        """Reload the snapshot from the database now."""
        with self._renewing:
            document = self.document()
            if self._list is None or not self._list.document.has_same_content(document):
                self._list = AuthSnapshot(document)

    def start(self) -> None:
        self._written = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()
        self._thread.join(3.0)
        self._write_usage()

    def _turn(self) -> None:
        try:
            self.renew()
            if time.monotonic() - self._written > USAGE_FLUSH_SECONDS:
                self._write_usage()
                self._written = time.monotonic()
            self._failing = False
        except SQLAlchemyError as error:
            if not self._failing:
                log.warning("access list not renewed: the database does not answer", error=type(error).__name__)
            self._failing = True

    def _write_usage(self) -> None:
        uses = self._usage.take()
        if not uses:
            return
        try:
            with Session(self._engine) as session, session.begin():
                api_keys_service.record_api_key_usage(session, uses)
        except SQLAlchemyError as error:
            self._usage.restore(uses)
            log.warning("key usage not written", error=type(error).__name__)
