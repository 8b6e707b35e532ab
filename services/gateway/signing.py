"""The signing keys in the database: private halves encrypted, rotation shared by all replicas."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from services.core.access.signing_keys import SigningKey, SigningKeys
from services.core.access.tables import SigningKeyRow
from services.core.access.tokens import AccessClaims, PublicKeys
from services.core.errors import VigieError

LOCK = 7_206_513
"""PostgreSQL's advisory lock of rotations."""
_LOOK_SECONDS = 5.0
_STALE_SECONDS = 86_400.0


class SigningKeyStore:
    """The keys as of at most five seconds ago; a new one is published for two minutes before it signs, so
    that replicas agree in time."""

    def __init__(self, engine: Engine, fernet: Fernet) -> None:
        self._engine, self._fernet = engine, fernet
        self._lock = threading.Lock()
        self._keys = SigningKeys(())
        self._looked = float("-inf")

    def current(self) -> SigningKeys:
        with self._lock:
            if time.monotonic() - self._looked > _LOOK_SECONDS:
                with Session(self._engine) as session:
                    self._keys = self._load(session)
                self._looked = time.monotonic()
            return self._keys

    def session_claims(self, text: str) -> AccessClaims | None:
        """What a token of ours says whose sign-in may still last. For renewing and taking back alone."""
        now = time.time()
        claims = PublicKeys(self.current().jwks(now)["keys"]).verify(text, now, expired_for_seconds=_STALE_SECONDS)
        return claims if isinstance(claims, AccessClaims) else None

    def rotate_if_due(self, every_seconds: float) -> bool:
        """Make a key where there is none or the newest is old. Safe in several replicas at once."""
        with Session(self._engine) as session, session.begin():
            self.alone(session)
            if not self._load(session).due(time.time(), every_seconds):
                return False
            self.rotate(session)
        self.forget()
        return True

    def rotate(self, session: Session, *, compromised: bool = False) -> SigningKey:
        """Add a key that signs after the lead; ``forget`` after the commit. ``compromised``: it signs at once and
        no token of an older key counts any more; everybody signs in again."""
        self.alone(session)
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
        """Look again at the next use: the keys were changed."""
        with self._lock:
            self._looked = float("-inf")

    def alone(self, session: Session) -> None:
        """One gateway at a time from here to the end of the transaction."""
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))

    def _drop_retired(self, session: Session, now: float) -> None:
        """Private keys that are published no more are not kept."""
        published = {key.kid for key in self._load(session).published(now)}
        for row in session.scalars(select(SigningKeyRow)):
            if row.kid not in published:
                session.delete(row)

    def _load(self, session: Session) -> SigningKeys:
        rows = session.scalars(select(SigningKeyRow).where(SigningKeyRow.retires_at.is_(None)))
        return SigningKeys.of(*(self._decrypted(row) for row in rows))

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


def fernet_of(secret: str | None) -> Fernet:
    """
    Raises:
        VigieError: there is no key, or it is none.
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
