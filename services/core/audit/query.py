"""Queries of the audit log, newest first, and verification of its hash chain against the signed head."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from services.core.audit.log import BROKEN_ACTION, GENESIS_HASH, AuditChain, entry_hash, head_and_newest_entry
from services.core.audit.tables import AuditEntryRow


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
