"""Reading the audit log, newest first."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from services.core.access.tables import AuditEntryRow


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; None leaves it open. ``action`` may end in ``.*`` for all of one kind. ``centres``
    are those whose entries may be seen. ``before`` is the sequence that the page before ended with."""

    actor: str | None = None
    action: str | None = None
    use_case: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    centres: Collection[str] | None = None
    before: int | None = None


def read(connection: Connection, wanted: AuditFilter, limit: int) -> list[dict[str, Any]]:
    """At most ``limit`` entries with their hashes."""
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
