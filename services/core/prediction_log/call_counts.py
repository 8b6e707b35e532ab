"""Counts of calls for boards and sheets."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from services.core.prediction_log.queries import (
    CALL_COLUMNS,
    Call,
    PredictionFilters,
    call_key,
    conditions_of,
    latest_labels,
    override_reason,
    reports_for,
)
from services.core.prediction_log.tables import PredictionRow


class CallCounts(NamedTuple):
    """How many calls there are. What is asked again under one incident number is one call, judged by its newest
    answer."""

    calls: int
    at_risk: int
    without_outcome: int
    overridden: int
    more: bool
    """Whether there are more predictions than were counted; all figures are then at least so large."""


def count_calls(connection: Connection, filters: PredictionFilters, most: int) -> CallCounts:
    """Count the calls of the newest ``most`` predictions."""
    columns = (*CALL_COLUMNS, PredictionRow.use_case, PredictionRow.risk)
    query = (
        select(*columns)
        .where(*conditions_of(filters))
        .order_by(PredictionRow.received_at.desc(), PredictionRow.id.desc())
    )
    rows = [dict(row) for row in connection.execute(query.limit(most + 1)).mappings()]
    more, rows = len(rows) > most, rows[:most]
    reports = reports_for(connection, rows)
    calls: dict[tuple[Any, ...], list[Call]] = defaultdict(list)
    for row in rows:
        calls[call_key(row)].append(row)
    told = [[report for row in call for report in reports.get(row["id"], ())] for call in calls.values()]
    return CallCounts(
        calls=len(calls),
        at_risk=sum(call[0]["risk"] is True for call in calls.values()),
        without_outcome=sum(not any(latest_labels(reports.get(row["id"], ())) for row in c) for c in calls.values()),
        overridden=sum(override_reason(mine) is not None for mine in told),
        more=more,
    )
