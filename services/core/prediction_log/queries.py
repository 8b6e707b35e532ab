"""Queries of the prediction log: pages of predictions, newest first, and the labels reported for them."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, exists, false, or_, select

from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from services.core.prediction_log.traffic_type import EXERCISE

LabelReport = Mapping[str, Any]
_P, _O = PredictionRow, OutcomeRow
_CHUNK = 500
"""Chunk size: SQLite limits the number of values in one statement."""


def is_label_for() -> ColumnElement[bool]:
    """Join condition of reports and predictions. Reports of an exercise match exercise calls only."""
    return or_(_O.kind != EXERCISE, _P.kind == EXERCISE)


def has_outcome() -> ColumnElement[bool]:
    """Condition: something was reported about the prediction's call."""
    same = and_(_O.use_case == _P.use_case, _O.centre == _P.centre, is_label_for())
    return or_(
        exists().where(same, _O.prediction_id == _P.id),
        exists().where(same, _O.request_id == _P.request_id, _O.row_index.is_not_distinct_from(_P.row_index)),
        exists().where(same, _O.incident_id == _P.incident_id),
    )


def latest_labels(reports: Iterable[LabelReport]) -> dict[str, Any]:
    """Labels after all ``reports`` of one call, in order of arrival: the latest report of each label wins, and null
    retracts the label."""
    labels: dict[str, Any] = {}
    for report in sorted(reports, key=lambda item: (item["received_at"], item["id"])):
        labels.update(report["labels"])
    return {name: value for name, value in labels.items() if value is not None}


def override_reason(reports: Iterable[LabelReport]) -> str | None:
    """The latest reported reason for overriding the answer."""
    said = [report for report in reports if report["override"] is not None]
    return max(said, key=lambda item: (item["received_at"], item["id"]))["override"] if said else None


def reports_for(connection: Connection, predictions: Sequence[Mapping[str, Any]]) -> dict[str, list[LabelReport]]:
    """Prediction id -> reports about its call, for rows of ``predictions`` of one use case."""
    if not predictions:
        return {}
    use_case = predictions[0]["use_case"]
    exercises = {row["id"] for row in predictions if row["kind"] == EXERCISE}
    by_id: dict[Any, list[str]] = defaultdict(list)
    by_request: dict[Any, list[str]] = defaultdict(list)
    by_incident: dict[Any, list[str]] = defaultdict(list)
    for row in predictions:
        by_id[row["centre"], row["id"]].append(row["id"])
        by_request[row["centre"], row["request_id"], row["row_index"]].append(row["id"])
        if row["incident_id"] is not None:
            by_incident[row["centre"], row["incident_id"]].append(row["id"])
    found: dict[str, list[LabelReport]] = defaultdict(list)
    lookups = (
        (_O.prediction_id, [key[1] for key in by_id], lambda r: by_id.get((r["centre"], r["prediction_id"]))),
        (
            _O.request_id,
            [key[1] for key in by_request],
            lambda r: by_request.get((r["centre"], r["request_id"], r["row_index"])),
        ),
        (_O.incident_id, [key[1] for key in by_incident], lambda r: by_incident.get((r["centre"], r["incident_id"]))),
    )
    centres = sorted({row["centre"] for row in predictions})
    for column, values, ids in lookups:
        wanted = sorted(set(values))
        for start in range(0, len(wanted), _CHUNK):
            query = select(_O.__table__).where(
                _O.use_case == use_case, _O.centre.in_(centres), column.in_(wanted[start : start + _CHUNK])
            )
            for report in connection.execute(query).mappings():
                for prediction in ids(report) or ():
                    if report["kind"] != EXERCISE or prediction in exercises:
                        found[prediction].append(dict(report))
    return found


_PREDICTION = PredictionRow


@dataclass(frozen=True, slots=True)
class PredictionFilters:
    """Filters of a query; None does not filter. ``centres`` are those that the caller may see, None for all."""

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
    """Position after a page (keyset pagination): rows added meanwhile neither shift nor repeat the next one."""

    received_at: datetime
    id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.received_at.isoformat()} {self.id}".encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Parse a cursor.

        Raises:
            ValueError: not a valid cursor.
        """
        moment, _, id_ = base64.urlsafe_b64decode(text.encode()).decode().partition(" ")
        received = datetime.fromisoformat(moment)
        if received.tzinfo is None:
            raise ValueError("a cursor's time has a zone")
        return cls(received, str(UUID(id_)))


def list_predictions(
    connection: Connection, filters: PredictionFilters, limit: int, after: Cursor | None = None
) -> list[dict[str, Any]]:
    """Up to ``limit`` predictions, newest first, each with ``outcome`` (reported labels or None) and ``override`` (why
    the centre overrode the answer, or None)."""
    conditions = _conditions(filters)
    if after is not None:
        same = and_(_PREDICTION.received_at == after.received_at, _PREDICTION.id < after.id)
        conditions.append(or_(_PREDICTION.received_at < after.received_at, same))
    query = (
        select(_PREDICTION.__table__)
        .where(*conditions)
        .order_by(_PREDICTION.received_at.desc(), _PREDICTION.id.desc())
        .limit(limit)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    reports = reports_for(connection, rows)
    for row in rows:
        row["outcome"] = latest_labels(reports.get(row["id"], ())) or None
        row["override"] = override_reason(reports.get(row["id"], ()))
    return rows


def cursor_after(row: Mapping[str, Any]) -> Cursor:
    return Cursor(row["received_at"], row["id"])


def _conditions(filters: PredictionFilters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_PREDICTION.use_case == filters.use_case]
    if filters.centres is not None:
        found.append(_PREDICTION.centre.in_(sorted(filters.centres)) if filters.centres else false())
    equal = {
        _PREDICTION.caller_id: filters.caller,
        _PREDICTION.risk: filters.risk,
        _PREDICTION.incident_id: filters.incident,
        _PREDICTION.request_id: filters.request_id,
        _PREDICTION.model_version: filters.model_version,
        _PREDICTION.source: filters.source,
        _PREDICTION.kind: filters.kind,
    }
    found += [column == value for column, value in equal.items() if value is not None]
    if filters.since is not None:
        found.append(_PREDICTION.received_at >= filters.since)
    if filters.until is not None:
        found.append(_PREDICTION.received_at < filters.until)
    if filters.has_outcome is not None:
        found.append(has_outcome() if filters.has_outcome else ~has_outcome())
    return found
