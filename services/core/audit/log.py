"""The audit log in the database: hash chain, queries (newest first), and verification against the signed head.

Each stored entry holds the hash of the one before it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Index, Integer, String, Text, insert, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from services.core.audit.entries import AuditEntry, canonical_json
from services.core.database.connection import DIGEST, NAME, WORD, Base

GENESIS_HASH = "0" * 64
"""``previous_hash`` of the first entry."""


class AuditEntryRow(Base):
    """An audit entry; triggers reject updates and deletes. ``details`` is canonical JSON text, so that the stored text
    is the hashed one."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_action_time", "action", "time"),)

    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False
    )
    id: Mapped[str] = mapped_column(String(DIGEST), unique=True)
    time: Mapped[datetime] = mapped_column(index=True)
    service: Mapped[str] = mapped_column(String(WORD))
    actor_kind: Mapped[str] = mapped_column(String(WORD))
    actor_id: Mapped[str] = mapped_column(String(NAME))
    actor_name: Mapped[str] = mapped_column(String(NAME), index=True)
    centre: Mapped[str] = mapped_column(String(NAME))
    action: Mapped[str] = mapped_column(String(80))
    use_case: Mapped[str] = mapped_column(String(NAME), index=True)
    target: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(80))
    request_id: Mapped[str] = mapped_column(String(80))
    outcome: Mapped[str] = mapped_column(String(WORD))
    details: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(DIGEST))
    hash: Mapped[str] = mapped_column(String(DIGEST), unique=True)


class AuditHeadRow(Base):
    """One row: sequence and hash of the newest entry with an HMAC whose key is not in the database."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(DIGEST))
    mac: Mapped[str] = mapped_column(String(DIGEST))


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

    def sign_head(self, connection: Connection) -> tuple[int, str]:
        """Sign the head as it is with this chain's key; for a replaced key, in the transaction that checked the old
        one. Return sequence and hash of the end."""
        head, _ = head_and_newest_entry(connection)
        assert head is not None
        sequence, last, _mac = head
        signed = update(AuditHeadRow).where(AuditHeadRow.id == HEAD_ROW_ID)
        connection.execute(signed.values(mac=self.mac(sequence, last)))
        return sequence, last

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


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Filter of the log; None matches everything. ``action`` may end in ``.*`` (prefix match). ``centres`` restricts
    entries to these centres. ``before``: last sequence of the previous page."""

    actor: str | None = None
    action: str | None = None
    use_case: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    centres: Collection[str] | None = None
    before: int | None = None


def query_entries(connection: Connection, wanted: AuditFilter, limit: int) -> list[dict[str, Any]]:
    """Return at most ``limit`` entries with their hashes."""
    row = AuditEntryRow
    query = select(row.__table__).order_by(row.sequence.desc()).limit(limit)
    for column, value in (
        (row.actor_name, wanted.actor),
        (row.use_case, wanted.use_case),
        (row.outcome, wanted.outcome),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.action is not None:
        if wanted.action.endswith(".*"):
            query = query.where(row.action.startswith(wanted.action[:-1], autoescape=True))
        else:
            query = query.where(row.action == wanted.action)
    if wanted.since is not None:
        query = query.where(row.time >= wanted.since)
    if wanted.until is not None:
        query = query.where(row.time < wanted.until)
    if wanted.centres is not None:
        query = query.where(row.centre.in_(sorted(wanted.centres)))
    if wanted.before is not None:
        query = query.where(row.sequence < wanted.before)
    return [{**found, "details": json.loads(found["details"])} for found in connection.execute(query).mappings()]


_MAX_CHECKED_FOR_MOVES = 500
"""Maximum number of changed entries that are checked for having been moved."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """Result of a verification. ``faults`` are sentences that name the entries. ``sequence`` and ``hash`` are the
    newest entry's: noted outside the platform, they later prove that nothing up to there has changed."""

    entries: int
    sequence: int
    hash: str
    faults: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        return not self.faults


def verify_chain(
    connection: Connection, chain: AuditChain, *, noted: tuple[int, str] | None = None
) -> VerificationReport:
    """Verify the whole log and report changed, removed and reordered entries.

    Args:
        connection: a connection to the database.
        chain: the hash chain with the key of the head.
        noted: sequence and hash of an entry from an earlier report, kept outside the platform.
    """
    faults: list[str] = []
    changed: list[dict[str, Any]] = []
    entries, sequence, last = 0, 0, GENESIS_HASH
    noted_found = noted is None
    for stored in _stored_entries(connection):
        entries += 1
        number = int(stored["sequence"])
        if number != sequence + 1:
            faults.append(f"{_describe_range(sequence + 1, number - 1)} removed.")
        elif stored["previous_hash"] != last:
            faults.append(f"Entry {number} does not follow entry {sequence} as it stands there now.")
        if stored["hash"] != entry_hash(stored):
            changed.append(stored)
        if stored["action"] == BROKEN_ACTION:
            faults.append(f"Entry {number} says that the end of the log had been tampered with: {stored['details']}")
        if noted is not None and number == noted[0]:
            noted_found = stored["hash"] == noted[1]
        sequence, last = number, str(stored["hash"])
    faults += _describe_changed(changed)
    if problem := chain.head_problem(connection):
        faults.append(f"At the end: {problem}.")
    if not noted_found and noted is not None:
        faults.append(f"Entry {noted[0]} is not the one whose hash was noted.")
    _, newest = head_and_newest_entry(connection)
    return VerificationReport(entries, *(newest or (0, GENESIS_HASH)), faults)


def _stored_entries(connection: Connection) -> Iterator[dict[str, Any]]:
    query = select(AuditEntryRow.__table__).order_by(AuditEntryRow.sequence)
    for row in connection.execution_options(yield_per=1_000).execute(query).mappings():
        yield dict(row)


def _describe_changed(changed: list[dict[str, Any]]) -> list[str]:
    """Describe changed entries: one whose hash is valid at another position was moved."""
    places = [int(stored["sequence"]) for stored in changed]
    faults = []
    for stored in changed:
        now = stored["sequence"]
        before = None
        if len(changed) <= _MAX_CHECKED_FOR_MOVES:
            before = next((p for p in places if entry_hash(stored | {"sequence": p}) == stored["hash"]), None)
        faults.append(
            f"Entry {now} was changed." if before is None else f"Entry {now} was reordered: it was written as {before}."
        )
    return faults


def _describe_range(first: int, last: int) -> str:
    return f"Entry {first} was" if first == last else f"Entries {first} to {last} were"
