"""Who may call, straight from the database: the gateway's own verifier, and the list that it gives to others."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.core.access.access_list import AccessList, AccessListDocument, KeySet
from services.core.access.caller import Caller
from services.core.access.key_usage import KeyUsage
from services.core.access.refusals import Reason, Refusal
from services.core.access.tokens import AccessClaims
from services.core.background import PeriodicThread
from services.gateway import keys, revocations
from services.gateway.signing import SigningKeyStore

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
"""How long what another replica changed takes to be seen here."""
USAGE_SECONDS = 15.0


class LiveAccess:
    """A ``Verifier``. It verifies with a copy in memory that a thread renews; ``renew`` after a change of
    this process's own makes it count at once."""

    def __init__(self, engine: Engine, signing: SigningKeyStore) -> None:
        self._engine, self._signing = engine, signing
        self._list: AccessList | None = None
        self._renewing = threading.Lock()
        self._usage = KeyUsage()
        self._written, self._failing = 0.0, False
        self._thread = PeriodicThread("live-access", self._turn, LOOK_SECONDS, at_once=False)

    def verify(self, credential: str | None) -> Caller | Refusal:
        if credential is None:
            return Refusal(Reason.MISSING)
        if self._list is None:
            return Refusal(Reason.NO_LIST)
        found = self._list.verify(credential, now := time.time())
        if isinstance(found, Caller) and found.kind == "key":
            self._usage.count(found.id, now)
        return found

    def revoked(self, claims: AccessClaims) -> bool:
        """Whether what a token says was taken back; true where that is not known."""
        return self._list is None or self._list.is_revoked(claims)

    def document(self) -> AccessListDocument:
        """The list as it is now."""
        now = datetime.now(UTC)
        with Session(self._engine) as session:
            entries, revoked = keys.in_force(session, now), revocations.in_force(session, now)
        jwks = self._signing.current().jwks(now.timestamp())
        return AccessListDocument(issued_at=now, jwks=KeySet(**jwks), keys=entries, revoked=revoked)

    def renew(self) -> None:
        """Take the list from the database now."""
        with self._renewing:
            document = self.document()
            if self._list is None or not self._list.document.says_the_same_as(document):
                self._list = AccessList(document)

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
            if time.monotonic() - self._written > USAGE_SECONDS:
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
                keys.count_uses(session, uses)
        except SQLAlchemyError as error:
            self._usage.put_back(uses)
            log.warning("key usage not written", error=type(error).__name__)
