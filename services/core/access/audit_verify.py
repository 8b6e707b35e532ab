"""Checking the audit log: every entry against its hash, its place and the signed head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from services.core.access.audit import GENESIS, chained_hash
from services.core.access.audit_chain import BROKEN, AuditChain, head_and_newest
from services.core.access.tables import AuditEntryRow

_MOST_CHANGED = 500
"""Of so many changed entries it is found out whether they only moved."""


@dataclass(frozen=True, slots=True)
class Report:
    """``faults`` are sentences that name the entries. ``sequence`` and ``hash`` are of the newest entry:
    noted elsewhere, they prove later that nothing up to there has changed since."""

    entries: int
    sequence: int
    hash: str
    faults: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        return not self.faults


def verify(connection: Connection, chain: AuditChain, *, noted: tuple[int, str] | None = None) -> Report:
    """Read the whole log and report whatever was changed, removed or reordered.

    Args:
        noted: sequence and hash of an entry from an earlier report, kept outside the platform.
    """
    faults: list[str] = []
    changed: list[dict[str, Any]] = []
    entries, sequence, last = 0, 0, GENESIS
    noted_found = noted is None
    for stored in _stored(connection):
        entries += 1
        number = int(stored["sequence"])
        if number != sequence + 1:
            faults.append(f"{_range(sequence + 1, number - 1)} removed.")
        elif stored["previous_hash"] != last:
            faults.append(f"Entry {number} does not follow entry {sequence} as it stands there now.")
        if stored["hash"] != chained_hash(stored):
            changed.append(stored)
        if stored["action"] == BROKEN:
            faults.append(f"Entry {number} says that the end of the log had been tampered with: {stored['details']}")
        if noted is not None and number == noted[0]:
            noted_found = stored["hash"] == noted[1]
        sequence, last = number, str(stored["hash"])
    faults += _changed(changed)
    if problem := chain.head_problem(connection):
        faults.append(f"At the end: {problem}.")
    if not noted_found and noted is not None:
        faults.append(f"Entry {noted[0]} is not the one whose hash was noted.")
    _, newest = head_and_newest(connection)
    return Report(entries, *(newest or (0, GENESIS)), faults)


def _stored(connection: Connection) -> Iterator[dict[str, Any]]:
    query = select(AuditEntryRow.__table__).order_by(AuditEntryRow.sequence)
    for row in connection.execution_options(yield_per=1_000).execute(query).mappings():
        yield dict(row)


def _changed(changed: list[dict[str, Any]]) -> list[str]:
    """An entry whose hash is right at another place was moved; any other was changed."""
    places = [int(stored["sequence"]) for stored in changed]
    faults = []
    for stored in changed:
        now = stored["sequence"]
        before = None
        if len(changed) <= _MOST_CHANGED:
            before = next((p for p in places if chained_hash(stored | {"sequence": p}) == stored["hash"]), None)
        faults.append(
            f"Entry {now} was changed." if before is None else f"Entry {now} was reordered: it was written as {before}."
        )
    return faults


def _range(first: int, last: int) -> str:
    return f"Entry {first} was" if first == last else f"Entries {first} to {last} were"
