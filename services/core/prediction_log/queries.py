"""Queries of the prediction log: pages of predictions, newest first, and the labels reported for them."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, exists, false, or_, select
from sqlalchemy.orm import aliased

from services.core.contract.fields import FIRST_YEAR, LAST_YEAR
from services.core.headers import EXERCISE, LIVE, SIMULATED
from services.core.prediction_log.tables import OutcomeRow, PredictionRow

LabelReport = Mapping[str, Any]
_P, _O = PredictionRow, OutcomeRow
_CHUNK = 500
"""Chunk size: SQLite limits the number of values in one statement."""


def latest_labels(reports: Iterable[LabelReport]) -> dict[str, Any]:
    """Labels after all ``reports`` of one call, in order of arrival: the latest report of each label wins, and null
    retracts the label."""
    labels: dict[str, Any] = {}
    for report in sorted(reports, key=_order):
        labels.update(report["labels"])
    return {name: value for name, value in labels.items() if value is not None}


def override_reason(reports: Iterable[LabelReport]) -> str | None:
    """The latest reported reason for overriding the answer."""
    said = [report for report in reports if report["override"] is not None]
    return max(said, key=_order)["override"] if said else None


CALL_COLUMNS = (_P.id, _P.centre, _P.kind, _P.incident_id, _P.request_id, _P.row_index, _P.received_at)
Call = Mapping[str, Any]
"""The columns of a prediction that say which call it belongs to."""


def reports_for(connection: Connection, predictions: Sequence[Mapping[str, Any]]) -> dict[str, list[LabelReport]]:
    """The one rule of which outcome belongs to which call: lists, boards, monitoring, shadow comparison, rollback watch
    and training all ask here.

    Args:
        connection: to the prediction log.
        predictions: rows of one use case.

    Returns:
        Prediction id -> the reports that belong to it, in order of arrival; none where none do.

    - Reports reach the calls of their own centre and use case alone; two centres' equal numbers are two calls.
    - They belong to the latest prediction that was made before the outcome was first known: what was asked again
      afterwards judges no model and teaches none, also when the outcome is corrected later. An outcome that was taken
      back as a whole is not known.
    - Of simulated calls alone simulated reports count, and there only without real ones. An exercise's reports are
      about exercises alone.
    """
    if not predictions:
        return {}
    use_case, centres = predictions[0]["use_case"], sorted({row["centre"] for row in predictions})
    wanted = {row["id"] for row in predictions}
    members = {row["id"]: row for row in predictions} | _siblings(connection, use_case, centres, predictions)
    calls: dict[Any, list[Call]] = defaultdict(list)
    for row in members.values():
        calls[call_key(row)].append(row)
    by_reference = _reports_by_reference(connection, use_case, centres, members.values())
    found: dict[str, list[LabelReport]] = {}
    for call in calls.values():
        if wanted.isdisjoint(row["id"] for row in call):
            continue
        reports = {report["id"]: report for row in call for key in _references(row) for report in by_reference[key]}
        owners = _assign(call, _countable(call[0]["kind"], list(reports.values())))
        found |= {owner: mine for owner, mine in owners.items() if owner in wanted}
    return found


def call_key(row: Call) -> tuple[Any, ...]:
    """What predictions of one call have in common: the incident, or the request where there is no incident."""
    if row["incident_id"] is not None:
        return row["centre"], row["kind"], row["incident_id"]
    return row["centre"], row["kind"], row["request_id"], row["row_index"]


def _references(row: Call) -> list[tuple[Any, ...]]:
    """How reports may name a prediction or its call."""
    named = [("prediction", row["centre"], row["id"]), ("request", row["centre"], row["request_id"], row["row_index"])]
    return named if row["incident_id"] is None else [*named, ("incident", row["centre"], row["incident_id"])]


def _reference(report: LabelReport) -> tuple[Any, ...]:
    """How a report names its call."""
    if report["prediction_id"] is not None:
        return "prediction", report["centre"], report["prediction_id"]
    if report["request_id"] is not None:
        return "request", report["centre"], report["request_id"], report["row_index"]
    return "incident", report["centre"], report["incident_id"]


def _countable(kind: str, reports: list[LabelReport]) -> list[LabelReport]:
    """The reports that count for a call of this traffic type."""
    if kind == EXERCISE:
        return [report for report in reports if report["kind"] == EXERCISE or not report["simulated"]]
    real = [report for report in reports if report["kind"] != EXERCISE and not report["simulated"]]
    if kind != SIMULATED or real:
        return real
    return [report for report in reports if report["kind"] != EXERCISE]


def _assign(call: Sequence[Call], reports: Iterable[LabelReport]) -> dict[str, list[LabelReport]]:
    """Prediction id -> its reports, among the predictions and reports of one call."""
    made = sorted(call, key=lambda row: (row["received_at"], row["id"]))
    found: dict[str, list[LabelReport]] = defaultdict(list)
    known_from: datetime | None = None
    labels: dict[str, Any] = {}
    for report in sorted(reports, key=_order):
        if not labels:
            known_from = None
        if report["labels"]:
            known_from = known_from or report["received_at"]
            labels = {name: value for name, value in {**labels, **report["labels"]}.items() if value is not None}
        until = known_from if report["labels"] and known_from is not None else report["received_at"]
        key = _reference(report)
        owners = [row["id"] for row in made if row["received_at"] <= until and key in _references(row)]
        if owners:
            found[owners[-1]].append(report)
    return found


def _order(report: LabelReport) -> tuple[Any, ...]:
    return report["received_at"], report["id"]


def _siblings(connection: Connection, use_case: str, centres: Sequence[str], rows: Sequence[Call]) -> dict[str, Call]:
    """The predictions of the same incidents and requests, by id."""
    places = sorted({row["row_index"] for row in rows if row["row_index"] is not None})
    of_rows = [or_(_P.row_index.is_(None), _P.row_index.in_(places))] if len(places) < _CHUNK else []
    asked: tuple[tuple[Any, set[str], list[ColumnElement[bool]]], ...] = (
        (_P.incident_id, {row["incident_id"] for row in rows if row["incident_id"] is not None}, []),
        (_P.request_id, {row["request_id"] for row in rows}, of_rows),
    )
    found: dict[str, Call] = {}
    for column, values, further in asked:
        for part in _chunks(values):
            query = select(*CALL_COLUMNS).where(
                _P.use_case == use_case, _P.centre.in_(centres), column.in_(part), *further
            )
            found |= {row["id"]: row for row in connection.execute(query).mappings()}
    return found


def _reports_by_reference(
    connection: Connection, use_case: str, centres: Sequence[str], rows: Iterable[Call]
) -> dict[tuple[Any, ...], list[LabelReport]]:
    """How reports name their call -> the reports, of those that name one of ``rows``."""
    named: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for kind, _, value, *_ in _references(row):
            named[kind].add(value)
    found: dict[tuple[Any, ...], list[LabelReport]] = defaultdict(list)
    columns = {"prediction": _O.prediction_id, "request": _O.request_id, "incident": _O.incident_id}
    for kind, values in named.items():
        column = columns[kind]
        for part in _chunks(values):
            query = select(_O.__table__).where(_O.use_case == use_case, _O.centre.in_(centres), column.in_(part))
            for report in connection.execute(query).mappings():
                row = dict(report)
                found[_reference(row)].append(row)
    return found


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def _named_by(*further: ColumnElement[bool]) -> ColumnElement[bool]:
    """Condition: there is a report that names the prediction, whether or not it belongs to it."""
    same = and_(_O.use_case == _P.use_case, _O.centre == _P.centre, *further)
    return or_(
        exists().where(same, _O.prediction_id == _P.id),
        exists().where(same, _O.request_id == _P.request_id, _O.row_index.is_not_distinct_from(_P.row_index)),
        exists().where(same, _O.incident_id == _P.incident_id),
    )


def _surely_reported() -> ColumnElement[bool]:
    """Condition: a report belongs to the prediction, by what is quickly seen; others have to be asked one by one."""
    other = aliased(_P)
    same = and_(other.use_case == _P.use_case, other.centre == _P.centre, other.id != _P.id)
    alone = ~exists().where(same, or_(other.incident_id == _P.incident_id, other.request_id == _P.request_id))
    real = and_(_O.kind == LIVE, _O.simulated.is_(False), _P.kind == LIVE, _O.received_at >= _P.received_at)
    return and_(alone, _named_by(real), ~_named_by(_O.received_at < _P.received_at))


_LISTED = [column for column in _P.__table__.columns if column.name != "stored_at"]


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
        if received.tzinfo is None or not FIRST_YEAR <= received.year <= LAST_YEAR:
            raise ValueError("a cursor's time has a zone, and a year in which there were calls")
        return cls(received, str(UUID(id_)))


def list_predictions(
    connection: Connection, filters: PredictionFilters, limit: int, after: Cursor | None = None
) -> list[dict[str, Any]]:
    """Up to ``limit`` predictions, newest first, each with ``outcome`` (reported labels or None) and ``override`` (why
    the centre overrode the answer, or None)."""
    conditions, found = conditions_of(filters), []
    size = limit if filters.has_outcome is None else max(limit, _CHUNK)
    while True:
        since = [] if after is None else [_older_than(after)]
        query = select(*_LISTED).where(*conditions, *since).order_by(_P.received_at.desc(), _P.id.desc())
        rows = [dict(row) for row in connection.execute(query.limit(size)).mappings()]
        reports = reports_for(connection, rows)
        for row in rows:
            mine = reports.get(row["id"], [])
            if filters.has_outcome is None or filters.has_outcome == bool(mine):
                found.append({**row, "outcome": latest_labels(mine) or None, "override": override_reason(mine)})
        if len(rows) < size or len(found) >= limit:
            return found[:limit]
        after = cursor_after(rows[-1])


def _older_than(after: Cursor) -> ColumnElement[bool]:
    same = and_(_P.received_at == after.received_at, _P.id < after.id)
    return or_(_P.received_at < after.received_at, same)


def cursor_after(row: Mapping[str, Any]) -> Cursor:
    return Cursor(row["received_at"], row["id"])


def conditions_of(filters: PredictionFilters) -> list[ColumnElement[bool]]:
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
    if filters.has_outcome is not None:  # and ``list_predictions`` asks for each that is left
        found.append(_named_by() if filters.has_outcome else ~_surely_reported())
    return found
