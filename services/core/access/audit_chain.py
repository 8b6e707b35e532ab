"""Writing the audit log: one entry after the other, each holding the hash of the one before."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, text, update

from services.core.access.audit import GENESIS, AuditEntry, chained_hash, columns
from services.core.access.tables import AuditEntryRow, AuditHeadRow

LOCK = 7_206_512
"""PostgreSQL's advisory lock that writers queue for. On SQLite every transaction is alone anyway."""
HEAD = 1
BROKEN = "audit.broken"


class AuditChain:
    """The log of one database.

    ``secret`` keys the head's HMAC. It has to come from outside the database: who can write the
    database alone cannot cut entries off the end without it."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"vigie audit head", "sha256")

    def append(self, connection: Connection, entries: Sequence[AuditEntry]) -> int:
        """Add ``entries`` in the connection's transaction; those whose id is there already are passed
        over. Returns how many were added. Do it last: other writers wait until the transaction ends.

        Where the end of the log is not what was last written, the log goes on (people have to be able to
        sign in), but behind an entry ``audit.broken`` that verification reports for ever."""
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        ids = [entry.id for entry in entries]
        known = set(connection.scalars(select(AuditEntryRow.id).where(AuditEntryRow.id.in_(ids))))
        fresh = list({entry.id: entry for entry in entries if entry.id not in known}.values())
        if not fresh:
            return 0
        sequence, last, broken = self._end(connection)
        for entry in [*broken, *fresh]:
            sequence += 1
            stored = columns(entry) | {"sequence": sequence, "previous_hash": last}
            last = chained_hash(stored)
            connection.execute(insert(AuditEntryRow).values(**stored, hash=last))
        values = {"sequence": sequence, "hash": last, "mac": self.mac(sequence, last)}
        moved = connection.execute(update(AuditHeadRow).where(AuditHeadRow.id == HEAD).values(**values))
        if moved.rowcount == 0:
            connection.execute(insert(AuditHeadRow).values(id=HEAD, **values))
        return len(fresh)

    def mac(self, sequence: int, last: str) -> str:
        return hmac.digest(self._key, f"{sequence}:{last}".encode(), "sha256").hex()

    def head_problem(self, connection: Connection) -> str:
        """What is wrong with the end of the log; empty where nothing is."""
        head, newest = head_and_newest(connection)
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
        """Where to go on: sequence, hash, and the entry that says what is wrong there."""
        head, newest = head_and_newest(connection)
        sequence, last = newest or (0, GENESIS)
        problem = self.head_problem(connection)
        if not problem:
            return sequence, last, []
        if head is not None:  # what was removed leaves a gap and is not written over
            sequence = max(sequence, head[0])
        return (
            sequence,
            last,
            [AuditEntry(service="audit", action=BROKEN, outcome="failed", details={"found": problem})],
        )


def head_and_newest(connection: Connection) -> tuple[tuple[int, str, str] | None, tuple[int, str] | None]:
    """The signed head (sequence, hash, mac), and sequence and hash of the newest entry."""
    head = connection.execute(select(AuditHeadRow.sequence, AuditHeadRow.hash, AuditHeadRow.mac)).one_or_none()
    newest = connection.execute(
        select(AuditEntryRow.sequence, AuditEntryRow.hash).order_by(AuditEntryRow.sequence.desc()).limit(1)
    ).one_or_none()
    return (
        None if head is None else (int(head[0]), str(head[1]), str(head[2])),
        None if newest is None else (int(newest[0]), str(newest[1])),
    )
