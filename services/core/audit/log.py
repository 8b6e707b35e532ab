"""Audit log entries and their hash chain: each stored entry holds the hash of the one before it."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection, insert, select, text, update

from services.core.audit.tables import AuditEntryRow, AuditHeadRow
from services.core.auth.principal import Principal

AuditOutcome = Literal["ok", "refused", "failed"]
GENESIS_HASH = "0" * 64
"""``previous_hash`` of the first entry."""
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


def to_columns(entry: AuditEntry) -> dict[str, object]:
    """Return the entry's column values."""
    values = entry.model_dump()
    return values | {"time": entry.time.astimezone(UTC), "details": canonical_json(entry.details)}


def entry_hash(stored: dict[str, object]) -> str:
    """Return SHA-256 over all columns of an entry except ``hash``, including ``sequence`` and ``previous_hash``."""
    time = stored["time"]
    assert isinstance(time, datetime)
    content = {name: value for name, value in stored.items() if name != "hash"}
    content["time"] = time.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


ADVISORY_LOCK = 7_206_512
"""PostgreSQL advisory lock that serializes writers. SQLite serializes write transactions itself."""
HEAD_ROW_ID = 1
BROKEN_ACTION = "audit.broken"


class AuditChain:
    """The hash chain of one database's audit log.

    ``secret`` keys the HMAC of the head. It must come from outside the database: without it, database access alone is
    not enough to truncate the log unnoticed."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"vigie audit head", "sha256")

    def append(self, connection: Connection, entries: Sequence[AuditEntry]) -> int:
        """Append ``entries`` in the connection's transaction; known ids are skipped. Returns how many were new. Call it
        last: other writers wait until the transaction ends.

        If the end of the log is not what was last written, appending continues (logins must keep working), after an
        entry ``audit.broken`` that verification reports from then on."""
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        ids = [entry.id for entry in entries]
        known = set(connection.scalars(select(AuditEntryRow.id).where(AuditEntryRow.id.in_(ids))))
        fresh = list({entry.id: entry for entry in entries if entry.id not in known}.values())
        if not fresh:
            return 0
        sequence, last, broken = self._end(connection)
        for entry in [*broken, *fresh]:
            sequence += 1
            stored = to_columns(entry) | {"sequence": sequence, "previous_hash": last}
            last = entry_hash(stored)
            connection.execute(insert(AuditEntryRow).values(**stored, hash=last))
        values = {"sequence": sequence, "hash": last, "mac": self.mac(sequence, last)}
        moved = connection.execute(update(AuditHeadRow).where(AuditHeadRow.id == HEAD_ROW_ID).values(**values))
        if moved.rowcount == 0:
            connection.execute(insert(AuditHeadRow).values(id=HEAD_ROW_ID, **values))
        return len(fresh)

    def mac(self, sequence: int, last: str) -> str:
        return hmac.digest(self._key, f"{sequence}:{last}".encode(), "sha256").hex()

    def head_problem(self, connection: Connection) -> str:
        """Return what is wrong with the end of the log; empty if nothing."""
        head, newest = head_and_newest_entry(connection)
        if head is None and newest is None:
            return ""
        if head is None:
            return "the signed head is gone"
        if not hmac.compare_digest(head[2], self.mac(head[0], head[1])):
            return "the head is not signed with this platform's key"
        if newest is None or newest[0] < head[0]:
            return f"entries {1 if newest is None else newest[0] + 1} to {head[0]} were removed from the end"
        if newest != head[:2]:
            return f"entry {newest[0]} is not the last one that was written, which was entry {head[0]}"
        return ""

    def _end(self, connection: Connection) -> tuple[int, str, list[AuditEntry]]:
        """Return where to continue: sequence, hash, and an ``audit.broken`` entry if the end is wrong."""
        head, newest = head_and_newest_entry(connection)
        sequence, last = newest or (0, GENESIS_HASH)
        problem = self.head_problem(connection)
        if not problem:
            return sequence, last, []
        if head is not None:  # deleted entries leave a gap in the sequence, which is not reused
            sequence = max(sequence, head[0])
        return (
            sequence,
            last,
            [AuditEntry(service="audit", action=BROKEN_ACTION, outcome="failed", details={"found": problem})],
        )


def head_and_newest_entry(connection: Connection) -> tuple[tuple[int, str, str] | None, tuple[int, str] | None]:
    """Return the signed head (sequence, hash, mac), and sequence and hash of the newest entry."""
    head = connection.execute(select(AuditHeadRow.sequence, AuditHeadRow.hash, AuditHeadRow.mac)).one_or_none()
    newest = connection.execute(
        select(AuditEntryRow.sequence, AuditEntryRow.hash).order_by(AuditEntryRow.sequence.desc()).limit(1)
    ).one_or_none()
    return (
        None if head is None else (int(head[0]), str(head[1]), str(head[2])),
        None if newest is None else (int(newest[0]), str(newest[1])),
    )
