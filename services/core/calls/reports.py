"""Joining what was reported to what was predicted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select

from services.core.calls.kinds import EXERCISE
from services.core.calls.tables import Outcome, Prediction

Report = Mapping[str, Any]
_P, _O = Prediction, Outcome
_CHUNK = 500
"""SQLite takes no more than some thousand values in one statement."""


def counts_for() -> ColumnElement[bool]:
    """What an exercise reports says nothing about other calls, be it by their own incident id."""
    return or_(_O.kind != EXERCISE, _P.kind == EXERCISE)


def has_outcome() -> ColumnElement[bool]:
    """Whether anything was reported about the call of a prediction."""
    same = and_(_O.use_case == _P.use_case, _O.centre == _P.centre, counts_for())
    return or_(
        exists().where(same, _O.prediction_id == _P.id),
        exists().where(same, _O.request_id == _P.request_id, _O.row_index.is_not_distinct_from(_P.row_index)),
        exists().where(same, _O.incident_id == _P.incident_id),
    )


def merged(reports: Iterable[Report]) -> dict[str, Any]:
    """The labels that hold after all ``reports`` of one call, whose order is that of their arrival: the
    latest word on each label, and none where that took it back."""
    labels: dict[str, Any] = {}
    for report in sorted(reports, key=lambda item: (item["received_at"], item["id"])):
        labels.update(report["labels"])
    return {name: value for name, value in labels.items() if value is not None}


def override(reports: Iterable[Report]) -> str | None:
    """Why the centre decided otherwise: the latest word on it."""
    said = [report for report in reports if report["override"] is not None]
    return max(said, key=lambda item: (item["received_at"], item["id"]))["override"] if said else None


def reports_on(connection: Connection, predictions: Sequence[Mapping[str, Any]]) -> dict[str, list[Report]]:
    """Prediction id -> the reports about its call, for rows of ``predictions`` of one use case."""
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
    found: dict[str, list[Report]] = defaultdict(list)
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
