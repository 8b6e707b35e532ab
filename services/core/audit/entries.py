"""Audit entries, and the outbox of services without the log: files on disk until the gateway has stored them.

An entry is one file, written atomically, and is deleted after the gateway has confirmed it. Delivery is at least once;
an entry that is delivered twice is stored once, by its id."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import httpx
import structlog
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.core.auth.principal import Principal
from services.core.auth.service_credentials import service_headers
from services.core.background import PeriodicThread
from services.core.io import atomic_write
from services.core.paths import VigiePaths
from services.core.settings import Settings

AuditOutcome = Literal["ok", "refused", "failed"]
_MAX_DETAILS_LENGTH = 8_000


def _printable(text: str) -> str:
    """Remove control characters: some databases reject them, and terminals interpret them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _check_size(details: dict[str, DetailValue]) -> dict[str, DetailValue]:
    if len(canonical_json(details)) > _MAX_DETAILS_LENGTH:
        raise ValueError(f"details are longer than {_MAX_DETAILS_LENGTH} characters")
    return details


ShortText = Annotated[str, StringConstraints(max_length=40), AfterValidator(_printable)]
NameText = Annotated[str, StringConstraints(max_length=120), AfterValidator(_printable)]
TargetText = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
DetailValue = str | int | bool | None | list[str]


class AuditEntry(BaseModel):
    """One audit entry. Holds no secrets, and no personal data but the user name.

    ``id`` makes delivery idempotent: an entry is stored once however often it is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")] = Field(
        default_factory=lambda: uuid.uuid4().hex
    )
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    service: ShortText
    actor_kind: ShortText = ""
    actor_id: NameText = ""
    actor_name: NameText = ""
    centre: NameText = ""
    action: Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[a-z_]+)+$", max_length=80)]
    """Such as ``login.failed`` or ``model.promoted``: object, dot, event."""
    use_case: NameText = ""
    target: TargetText = ""
    """The affected user, key, model version or run."""
    address: Annotated[str, StringConstraints(max_length=80), AfterValidator(_printable)] = ""
    request_id: Annotated[str, StringConstraints(max_length=80), AfterValidator(_printable)] = ""
    outcome: AuditOutcome = "ok"
    details: Annotated[dict[str, DetailValue], AfterValidator(_check_size)] = Field(default_factory=dict)

    def by(self, caller: Principal) -> AuditEntry:
        """Return the entry with its actor set."""
        return self.model_copy(
            update={
                "actor_kind": caller.kind,
                "actor_id": caller.id,
                "actor_name": caller.name,
                "centre": caller.centre,
            }
        )


def canonical_json(value: object) -> str:
    """Encode as canonical JSON: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


log = structlog.get_logger(__name__)

BATCH_SIZE = 100
RETRY_SECONDS = 5.0


class AuditOutbox:
    """Stores entries on disk and delivers them in a background thread, so ``record`` needs neither network nor
    database."""

    def __init__(self, folder: Path, url: str, token: str, service: str, *, timeout_seconds: float = 5.0) -> None:
        self._folder, self._service = folder, service
        self._url = url.rstrip("/") + "/internal/audit"
        self._headers = service_headers(token, service, "gateway")
        self._timeout = timeout_seconds
        self._failing = False
        self._thread = PeriodicThread(
            "audit-outbox",
            self._turn,
            RETRY_SECONDS,  # a job in another process cannot wake this thread
            at_least=lambda: RETRY_SECONDS if self._failing else 0.0,
        )

    @classmethod
    def of(cls, settings: Settings, service: str) -> AuditOutbox | None:
        """Create the outbox of a service; None if no gateway or no service token is configured: the service then runs
        alone and its log is the only record."""
        if settings.gateway_url is None or settings.service_token is None:
            return None
        token = settings.service_token.get_secret_value()
        return cls(outbox_folder(settings.home, service), settings.gateway_url, token, service)

    def record(self, entry: AuditEntry) -> None:
        """Store ``entry`` on disk for delivery.

        Raises:
            OSError: the disk does not accept it.
        """
        enqueue(self._folder, entry)
        self._thread.wake()

    def waiting(self) -> int:
        """Return the number of undelivered entries."""
        return sum(1 for _ in self._folder.glob("*.json"))

    def deliver(self) -> int:
        """Deliver pending entries, oldest first; return how many the gateway accepted.

        Raises:
            httpx.HTTPError: the gateway does not answer, or with an error status; the entries stay.
        """
        taken, at_once = 0, BATCH_SIZE
        while batch := sorted(self._folder.glob("*.json"))[:at_once]:
            entries = {path: entry for path in batch if (entry := self._read(path)) is not None}
            if not entries:
                continue
            body = [entry.model_dump(mode="json") for entry in entries.values()]
            answer = httpx.post(self._url, json=body, headers=self._headers, timeout=self._timeout, trust_env=False)
            if answer.status_code == 422:  # the batch has an invalid entry: isolate it and deliver the others
                if len(entries) == 1:
                    self._quarantine(*entries)
                at_once = 1
                continue
            answer.raise_for_status()
            for path in entries:
                path.unlink(missing_ok=True)
            taken += len(entries)
        return taken

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        """End the thread. The next process delivers the remaining entries."""
        self._thread.stop()
        self._thread.join(seconds)

    def _turn(self) -> None:
        try:
            self.deliver()
        except (httpx.HTTPError, OSError) as error:
            if not self._failing:
                log.warning("audit entries wait for the gateway", reason=type(error).__name__, count=self.waiting())
            self._failing = True
            return
        if self._failing:
            log.info("audit entries delivered again")
        self._failing = False

    def _read(self, path: Path) -> AuditEntry | None:
        """Read an entry; an invalid file is renamed for inspection."""
        try:
            return AuditEntry.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValidationError, IsADirectoryError):
            self._quarantine(path)
            return None

    def _quarantine(self, path: Path) -> None:
        log.error("audit entry is not understood", file=path.name)
        path.replace(path.with_suffix(".refused"))


def outbox_folder(home: VigiePaths, service: str) -> Path:
    return home.root / "audit" / service


def enqueue(folder: Path, entry: AuditEntry) -> None:
    """Store ``entry`` where the service's outbox delivers it from; for its jobs, which run in other processes.

    Raises:
        OSError: the disk does not accept it.
    """
    # File names sort in the order of the events.
    path = folder / f"{entry.time.timestamp():017.6f}-{entry.id}.json"
    atomic_write(path, entry.model_dump_json(), durable=True)
