"""Polls the gateway for the auth snapshot in a background thread and verifies with the last good one.

It also counts the uses of API keys in memory and reports them to the gateway."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Protocol

import httpx
import structlog
from pydantic import AwareDatetime, BaseModel, Field, SecretStr, TypeAdapter

from services.core.auth.principal import AuthError, AuthErrorCode, Principal
from services.core.auth.service_credentials import service_headers
from services.core.auth.snapshot import AuthSnapshot, AuthSnapshotDocument, NewCredentials, SnapshotFile, Withdrawal
from services.core.background import PeriodicThread


class ApiKeyUsage(BaseModel):
    """Usage of one key since the last report."""

    id: str = Field(min_length=1, max_length=64)
    last_used_at: AwareDatetime
    uses: int = Field(ge=1)


class ApiKeyUsageCounter:
    """Thread-safe usage counts of API keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[str, tuple[int, float]] = {}

    def count(self, key: str, now: float, uses: int = 1) -> None:
        """Count uses of a key; ``now`` is in Unix seconds."""
        with self._lock:
            before, last = self._uses.get(key, (0, 0.0))
            self._uses[key] = (before + uses, max(last, now))

    def take(self) -> list[ApiKeyUsage]:
        """Return the counts since the last call and reset them."""
        with self._lock:
            taken, self._uses = self._uses, {}
        return [
            ApiKeyUsage(id=key, last_used_at=datetime.fromtimestamp(last, UTC), uses=uses)
            for key, (uses, last) in taken.items()
        ]

    def restore(self, uses: Iterable[ApiKeyUsage]) -> None:
        """Add counts of a failed report back, to be sent with the next one."""
        for use in uses:
            self.count(use.id, use.last_used_at.timestamp(), use.uses)


CONNECT_SECONDS, RESPONSE_SECONDS = 2.0, 5.0
SNAPSHOT_PATH, KEY_USAGE_PATH = "/internal/access-list", "/internal/key-usage"

_USES = TypeAdapter(Sequence[ApiKeyUsage])


class SnapshotSource(Protocol):
    """Where snapshots come from and usage is reported to: the gateway, or a fake in tests."""

    def access_list(self) -> AuthSnapshotDocument: ...

    def report(self, uses: Sequence[ApiKeyUsage]) -> None: ...


class GatewayAuthClient:
    """HTTP client of the gateway, for one background thread.

    ``service``: name of the caller, for the gateway's logs. Redirects are not followed, so that the credential is sent
    to the gateway only."""

    def __init__(self, url: str, token: SecretStr, service: str) -> None:
        self._url = url
        self._token = token
        self._service = service

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._url,
            headers=service_headers(self._token.get_secret_value(), self._service, "gateway"),
            timeout=httpx.Timeout(RESPONSE_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,  # no proxy within the platform's network
        )

    def access_list(self) -> AuthSnapshotDocument:
        """Fetch the auth snapshot.

        Raises:
            httpx.HTTPError: no answer, or an error status.
            ValidationError: the body is not a snapshot.
        """
        answer = self._client.get(SNAPSHOT_PATH).raise_for_status()
        return AuthSnapshotDocument.model_validate_json(answer.content)

    def report(self, uses: Sequence[ApiKeyUsage]) -> None:
        """Report the usage of API keys.

        Raises:
            httpx.HTTPError: the gateway did not accept it.
        """
        body = _USES.dump_json(uses)
        self._client.post(KEY_USAGE_PATH, content=body, headers={"Content-Type": "application/json"}).raise_for_status()


log = structlog.get_logger(__name__)

STALE_SECONDS = 60.0
"""An older snapshot is logged: a revoked key may still be accepted."""
REWRITE_SECONDS = 60.0
"""Interval of rewriting an unchanged snapshot, so that its age on disk is right after a restart."""
MAX_POLL_SECONDS, JITTER = 1.5, 0.2
"""Longest polling interval and its spread: an emergency stop takes effect everywhere within two seconds."""
REPORT_POLLS = 10
"""Polling intervals between two reports of the usage of keys."""
INITIAL_POLL_SECONDS = 1.0
"""Polling interval while there is no snapshot, and minimum interval of polls triggered by an unknown key."""

_NO_CREDENTIAL, _NO_SNAPSHOT = AuthError(AuthErrorCode.MISSING), AuthError(AuthErrorCode.NO_LIST)
_UNCONFIRMED = AuthError(AuthErrorCode.UNCONFIRMED)


class AuthSnapshotPoller:
    """``Authenticator`` on the last snapshot, refreshed by a background thread.

    ``start`` loads the snapshot on disk, then polls the gateway every ``seconds``; ``poll`` polls once. The last good
    snapshot stays valid at any age: serving predictions has priority."""

    def __init__(
        self,
        file: SnapshotFile,
        source: SnapshotSource,
        *,
        seconds: float,
        clock: Callable[[], float] = time.time,
        on_refused: Callable[[AuthErrorCode], None] = lambda _: None,
    ) -> None:
        seconds = min(seconds, MAX_POLL_SECONDS)
        self._file = file
        self._source = source
        self._seconds = seconds
        self._clock = clock
        self._on_refused = on_refused
        self.on_withdrawn: Callable[[Sequence[Withdrawal]], None] = lambda _: None
        """Called with the active withdrawals whenever the list changes."""
        self._list: AuthSnapshot | None = None
        self._issued = 0.0
        self._written = 0.0
        self._silent = False
        self._usage = ApiKeyUsageCounter()
        self._new = NewCredentials(seconds)
        self._reported = float("-inf")
        self._thread = PeriodicThread(
            "access-list", self.poll, self._pause, at_least=min(INITIAL_POLL_SECONDS, seconds)
        )

    def verify(self, credential: str | None) -> Principal | AuthError:
        found = self._verified(credential)
        if isinstance(found, AuthError):
            if found.reason is AuthErrorCode.UNKNOWN and credential is not None and self._new.may_be_new(credential):
                found = _UNCONFIRMED
                if not self._thread.woken and self._new.may_look(self._clock()):
                    self._thread.wake()
            self._on_refused(found.reason)
        return found

    def _verified(self, credential: str | None) -> Principal | AuthError:
        if credential is None:
            return _NO_CREDENTIAL
        current = self._list
        if current is None:
            return _NO_SNAPSHOT
        now = self._clock()
        found = current.verify(credential, now)
        if isinstance(found, Principal) and found.kind == "key":
            self._usage.count(found.id, now)
        return found

    def age(self) -> float | None:
        """Return seconds since the gateway issued the current snapshot; None if there is none."""
        return None if self._list is None else max(0.0, self._clock() - self._issued)

    @property
    def stale(self) -> bool:
        age = self.age()
        return age is None or age > STALE_SECONDS

    def start(self) -> None:
        self.load_from_disk()
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; does not wait for a request in progress."""
        self._thread.stop()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def load_from_disk(self) -> None:
        """Activate the snapshot on disk; an unusable one is as none."""
        try:
            document = self._file.load()
            if document is not None:
                self._take(document)
                self._written = self._issued
                log.info("access list from disk", issued_at=document.issued_at.isoformat(), keys=len(document.keys))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the file, the gateway gives another
            log.error("access list on disk not used", error=_describe(error))

    def poll(self) -> None:
        """Poll the gateway once. Never raises: errors are logged, and the last good snapshot stays."""
        number = self._new.asking()
        try:
            document, before = self._source.access_list(), self._list
            if before is not None:
                document = document.keeping_withdrawals_of(before.document)
            changed = before is None or not before.document.has_same_content(document)
            self._take(document)
            self._new.answered(number)
        except Exception as error:  # noqa: BLE001 - on any gateway error the last snapshot stays in use
            if not self._silent:
                log.warning("access list not renewed", error=_describe(error), age_seconds=self.age())
            self._silent = True
            return
        if self._silent:
            log.info("access list is renewed again")
        self._silent = False
        self._keep(document, changed=changed)
        self._report()

    def _take(self, document: AuthSnapshotDocument) -> None:
        """Activate a snapshot. One with the same content keeps the cache of verified credentials."""
        if self._list is None or not self._list.document.has_same_content(document):
            self._list = AuthSnapshot(document)
            self.on_withdrawn(document.withdrawn)
        # A wrong clock's list would never be stale: it is as old as its arrival at least.
        self._issued = min(document.issued_at.timestamp(), self._clock())

    def _keep(self, document: AuthSnapshotDocument, *, changed: bool) -> None:
        if not changed and self._issued - self._written < REWRITE_SECONDS:
            return
        try:
            self._file.save(document)
        except OSError as error:
            log.error("access list not kept on disk", error=_describe(error))
        else:
            self._written = self._issued

    def _report(self) -> None:
        if self._clock() - self._reported < REPORT_POLLS * self._seconds:
            return
        self._reported = self._clock()
        uses = self._usage.take()
        if not uses:
            return
        try:
            self._source.report(uses)
        except Exception as error:  # noqa: BLE001 - usage counts can wait for the next report
            self._usage.restore(uses)
            log.warning("key usage not reported", error=_describe(error))

    def _pause(self) -> float:
        if self._list is None:
            return min(INITIAL_POLL_SECONDS, self._seconds)
        # Jitter: replicas started together must not poll together.
        return self._seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
