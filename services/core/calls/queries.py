"""Lists of predictions, newest first, page by page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, false, or_, select

from services.core.calls.reports import has_outcome, merged, override, reports_on
from services.core.calls.tables import Prediction

_P = Prediction


@dataclass(frozen=True, slots=True)
class Filters:
    """None asks for all. ``centres`` are those whose calls may be seen; None stands for all there are."""

    use_case: str
    centres: frozenset[str] | None
    caller: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    risk: bool | None = None
    incident: str | None = None
    request_id: str | None = None
    model_version: str | None = None
    source: str | None = None
    kind: str | None = None
    has_outcome: bool | None = None


class Cursor(NamedTuple):
    """Where a page ended. Rows that are added meanwhile neither shift nor repeat the next one."""

    received_at: datetime
    id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.received_at.isoformat()} {self.id}".encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """
        Raises:
            ValueError: this is no cursor of ours.
        """
        moment, _, id_ = base64.urlsafe_b64decode(text.encode()).decode().partition(" ")
        received = datetime.fromisoformat(moment)
        if received.tzinfo is None:
            raise ValueError("a cursor's time has a zone")
        return cls(received, str(UUID(id_)))


def page(connection: Connection, filters: Filters, limit: int, after: Cursor | None = None) -> list[dict[str, Any]]:
    """Up to ``limit`` predictions, newest first, each with ``outcome``: the labels that were reported, or
    None; and ``override``: why the centre decided otherwise, or None."""
    conditions = _conditions(filters)
    if after is not None:
        same = and_(_P.received_at == after.received_at, _P.id < after.id)
        conditions.append(or_(_P.received_at < after.received_at, same))
    query = select(_P.__table__).where(*conditions).order_by(_P.received_at.desc(), _P.id.desc()).limit(limit)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    reports = reports_on(connection, rows)
    for row in rows:
        row["outcome"] = merged(reports.get(row["id"], ())) or None
        row["override"] = override(reports.get(row["id"], ()))
    return rows


def cursor_after(row: Mapping[str, Any]) -> Cursor:
    return Cursor(row["received_at"], row["id"])


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_P.use_case == filters.use_case]
    if filters.centres is not None:
        found.append(_P.centre.in_(sorted(filters.centres)) if filters.centres else false())
    equal = {
        _P.caller_id: filters.caller,
        _P.risk: filters.risk,
        _P.incident_id: filters.incident,
        _P.request_id: filters.request_id,
        _P.model_version: filters.model_version,
        _P.source: filters.source,
        _P.kind: filters.kind,
    }
    found += [column == value for column, value in equal.items() if value is not None]
    if filters.since is not None:
        found.append(_P.received_at >= filters.since)
    if filters.until is not None:
        found.append(_P.received_at < filters.until)
    if filters.has_outcome is not None:
        found.append(has_outcome() if filters.has_outcome else ~has_outcome())
    return found
