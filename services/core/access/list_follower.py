"""Keeps the access list fresh in a thread of its own, and verifies with the last good one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import structlog

from services.core.access.access_list import AccessList, AccessListDocument
from services.core.access.caller import Caller
from services.core.access.gateway_client import ListSource
from services.core.access.key_usage import KeyUsage
from services.core.access.list_file import ListFile
from services.core.access.refusals import Reason, Refusal
from services.core.background import PeriodicThread
from services.core.errors import VigieError

log = structlog.get_logger(__name__)

STALE_SECONDS = 60.0
"""A list that is older is told of: a revoked key may still be working."""
REWRITE_SECONDS = 60.0
"""How often an unchanged list is written to disk again, so that its age is right after a restart."""
FIRST_SECONDS = 1.0
"""How often the gateway is asked as long as there is no list at all, and at most when a key is not known."""

_MISSING, _NO_LIST = Refusal(Reason.MISSING), Refusal(Reason.NO_LIST)


class AccessListFollower:
    """A ``Verifier``. ``start`` takes the list on disk at once and then asks the gateway every ``seconds``;
    ``poll`` is one such look. The last good list stays in force, however old: calls come first."""

    def __init__(
        self,
        file: ListFile,
        source: ListSource,
        *,
        seconds: float,
        clock: Callable[[], float] = time.time,
        on_refused: Callable[[Reason], None] = lambda _: None,
    ) -> None:
        self._file = file
        self._source = source
        self._seconds = seconds
        self._clock = clock
        self._on_refused = on_refused
        self._list: AccessList | None = None
        self._issued = 0.0
        self._written = 0.0
        self._silent = False
        self._usage = KeyUsage()
        self._thread = PeriodicThread("access-list", self.poll, self._pause, at_least=min(FIRST_SECONDS, seconds))

    def verify(self, credential: str | None) -> Caller | Refusal:
        found = self._verified(credential)
        if isinstance(found, Refusal):
            self._on_refused(found.reason)
            if found.reason is Reason.UNKNOWN:
                self._thread.wake()  # it may be younger than our list
        return found

    def _verified(self, credential: str | None) -> Caller | Refusal:
        if credential is None:
            return _MISSING
        current = self._list
        if current is None:
            return _NO_LIST
        now = self._clock()
        found = current.verify(credential, now)
        if isinstance(found, Caller) and found.kind == "key":
            self._usage.count(found.id, now)
        return found

    def age(self) -> float | None:
        """Seconds since the gateway issued the list in force; None where there is none."""
        return None if self._list is None else max(0.0, self._clock() - self._issued)

    @property
    def stale(self) -> bool:
        age = self.age()
        return age is None or age > STALE_SECONDS

    def start(self) -> None:
        self.load_from_disk()
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; a request that hangs is not waited for."""
        self._thread.stop()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def load_from_disk(self) -> None:
        try:
            document = self._file.load()
            if document is not None:
                self._take(document)
                self._written = self._issued
                log.info("access list from disk", issued_at=document.issued_at.isoformat(), keys=len(document.keys))
        except (VigieError, ValueError) as error:
            log.error("access list on disk not used", error=str(error)[:500])

    def poll(self) -> None:
        """One look at the gateway. Never raises: what went wrong is logged, and the last good list stays."""
        try:
            document = self._source.access_list()
            before = self._list
            changed = before is None or not before.document.says_the_same_as(document)
            self._take(document)
        except Exception as error:  # noqa: BLE001 - any trouble with the gateway means: go on with what there is
            if not self._silent:
                log.warning("access list not renewed", error=_text(error), age_seconds=self.age())
            self._silent = True
            return
        if self._silent:
            log.info("access list is renewed again")
        self._silent = False
        self._keep(document, changed=changed)
        self._report()

    def _take(self, document: AccessListDocument) -> None:
        """Put the list in force. One that says the same leaves what is remembered alone."""
        if self._list is None or not self._list.document.says_the_same_as(document):
            self._list = AccessList(document)
        self._issued = document.issued_at.timestamp()

    def _keep(self, document: AccessListDocument, *, changed: bool) -> None:
        if not changed and self._issued - self._written < REWRITE_SECONDS:
            return
        try:
            self._file.save(document)
        except OSError as error:
            log.error("access list not kept on disk", error=_text(error))
        else:
            self._written = self._issued

    def _report(self) -> None:
        uses = self._usage.take()
        if not uses:
            return
        try:
            self._source.report(uses)
        except Exception as error:  # noqa: BLE001 - how often a key was used can wait
            self._usage.put_back(uses)
            log.warning("key usage not reported", error=_text(error))

    def _pause(self) -> float:
        if self._list is None:
            return min(FIRST_SECONDS, self._seconds)
        # Replicas that were started together do not ask together.
        return self._seconds * random.uniform(0.8, 1.2)  # noqa: S311


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
