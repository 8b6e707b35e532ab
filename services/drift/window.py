"""Reads what a monitoring run evaluates from the prediction log: calls, their outcomes, and reports without a call."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, and_, case, exists, func, or_, select

from services.core.contract.use_case import UseCase
from services.core.monitoring.drift_state import evaluated_until, is_quarantined, quarantined_labels, stored_at
from services.core.params import Monitoring
from services.core.prediction_log.label_export import to_label_columns, to_request_columns, to_series
from services.core.prediction_log.queries import latest_labels, reports_for
from services.core.prediction_log.tables import OutcomeRow, PredictionRow

_P, _O = PredictionRow, OutcomeRow
_CHUNK = 500
_STRAYS = 20
"""A window that would hold fewer calls is one of strays: an older one that holds as many is looked at."""
_BEING_STORED = timedelta(seconds=2)
"""What was stored so shortly before a run began may come from a transaction that has not ended."""
_PATIENCE = timedelta(days=1)
"""How long a report may wait for its call before it counts as one without."""
_DAY_SECONDS = 86_400
_COLUMNS = (
    _P.id, _P.use_case, _P.centre, _P.request_id, _P.row_index, _P.incident_id, _P.received_at, _P.model_version,
    _P.source, _P.request, _P.kind, _P.watched,
)  # fmt: skip


def read_window(
    connection: Connection,
    use_case: UseCase,
    kinds: Sequence[str],
    *,
    days: float,
    maximum: int,
    held: list[dict[str, Any]],
) -> pd.DataFrame:
    """Read the newest logged calls with their features and labels, one row for each distinct request and version.

    Calls that arrived within ``days`` of the newest one are looked at, and of those the ones whose own time lies within
    ``days`` of the newest that is no stray: a few calls with odd times move no window.

    Args:
        connection: to the prediction log.
        use_case: whose calls.
        kinds: types of traffic, such as ``live``.
        days: length of the window before its newest call, by the calls' own time.
        maximum: most rows to read.
        held: label quarantines in force; their labels are NaN here and stand in ``held.<label>`` (``call_held``).

    Returns:
        n rows in the order of ``event_time`` (UTC): request fields, labels (float64, NaN where unknown), ``call_*``;
        ``call_repeats`` says how many calls a row stands for. Empty where there are none.
    """
    query = select(*_COLUMNS).where(_P.use_case == use_case.name, _P.kind.in_(kinds))
    found = [dict(row) for row in connection.execute(query.order_by(_P.received_at.desc()).limit(maximum)).mappings()]
    found = [row for row in found if row["received_at"] > found[0]["received_at"] - timedelta(days=days)]
    return _within_days(_deduplicate(use_case, _frame(use_case, _rows(connection, use_case, found, held))), days)


def read_reports(
    connection: Connection, use_case: UseCase, kinds: Sequence[str], *, days: float, maximum: int, until: datetime
) -> pd.DataFrame:
    """Read the calls whose outcomes no run has evaluated yet, and those of the ``days`` before for comparison.

    Whatever the age of the calls, and every one of them, also where a question was repeated.

    Args:
        connection: to the prediction log.
        use_case: whose calls.
        kinds: types of traffic, such as ``live``.
        days: how far back evaluated outcomes are read, by when they were stored.
        maximum: most outcomes to read: the oldest that wait, then the newest of those before.
        until: outcomes that were stored later wait for the next run.

    Returns:
        n rows as of ``read_window``; ``call_stored_at`` (UTC) says when the last of a call's reports was stored. Labels
        that are held back are NaN.
    """
    looked = evaluated_until(connection, use_case.name)
    stored = func.coalesce(_O.stored_at, _O.received_at, type_=_O.received_at.type)
    query = select(_O.id, _O.prediction_id, _O.request_id, _O.incident_id, stored).where(
        _O.use_case == use_case.name, _O.kind.in_(kinds), stored <= until
    )
    fresh = query if looked is None else query.where(stored > looked)
    chosen = list(connection.execute(fresh.order_by(stored, _O.id).limit(maximum)))
    if looked is not None:
        before = query.where(stored <= looked, stored > looked - timedelta(days=days))
        chosen += list(connection.execute(before.order_by(stored.desc()).limit(maximum - len(chosen))))
    wanted = {row[0] for row in chosen}
    found: dict[str, dict[str, Any]] = {}
    for column, place in ((_P.id, 1), (_P.request_id, 2), (_P.incident_id, 3)):
        values = sorted({str(row[place]) for row in chosen if row[place] is not None})
        for start in range(0, len(values), _CHUNK):
            calls = select(*_COLUMNS).where(
                _P.use_case == use_case.name, _P.kind.in_(kinds), column.in_(values[start : start + _CHUNK])
            )
            found |= {row["id"]: dict(row) for row in connection.execute(calls).mappings()}
    held = quarantined_labels(connection, use_case.name)
    return _frame(use_case, _rows(connection, use_case, list(found.values()), held, wanted))


@dataclass(frozen=True, slots=True)
class LogReader:
    """What one monitoring run reads of the prediction log."""

    engine: Engine
    use_case: UseCase
    kinds: Sequence[str]
    params: Monitoring
    started: datetime

    def window(self) -> pd.DataFrame:
        """The newest calls, see ``read_window``."""
        with self.engine.connect() as connection:
            held = quarantined_labels(connection, self.use_case.name)
            days, maximum = self.params.window_days, self.params.maximum_calls
            return read_window(connection, self.use_case, self.kinds, days=days, maximum=maximum, held=held)

    def reports(self) -> pd.DataFrame:
        """The outcomes that no run has evaluated yet, with those before, see ``read_reports``."""
        days, maximum, until = self.params.window_days, self.params.maximum_calls, self.started - _BEING_STORED
        with self.engine.connect() as connection:
            return read_reports(connection, self.use_case, self.kinds, days=days, maximum=maximum, until=until)

    def unmatched(self) -> list[UnmatchedReports]:
        """Each centre's reports without a call, see ``count_unmatched``."""
        days, now = self.params.window_days, self.started
        with self.engine.connect() as connection:
            return count_unmatched(connection, self.use_case.name, self.kinds, days=days, now=now)


class UnmatchedReports(NamedTuple):
    """A centre's reports that are more than a day old, and how many of them belong to no call."""

    centre: str
    reports: int
    unmatched: int


def count_unmatched(
    connection: Connection, use_case: str, kinds: Sequence[str], *, days: float, now: datetime
) -> list[UnmatchedReports]:
    """Count each centre's reports of the last ``days`` that, a day after arrival, name no prediction made before."""
    same = and_(_P.use_case == _O.use_case, _P.centre == _O.centre, _P.received_at <= _O.received_at)
    named = or_(
        exists().where(same, _P.id == _O.prediction_id),
        exists().where(same, _P.request_id == _O.request_id, _P.row_index.is_not_distinct_from(_O.row_index)),
        exists().where(same, _P.incident_id == _O.incident_id),
    )
    of_age = (_O.received_at > now - timedelta(days=days), _O.received_at <= now - _PATIENCE)
    query = (
        select(_O.centre, func.count(), func.sum(case((named, 0), else_=1)))
        .where(_O.use_case == use_case, _O.kind.in_(kinds), *of_age)
        .group_by(_O.centre)
        .order_by(_O.centre)
    )
    return [UnmatchedReports(str(centre), int(all_), int(lost)) for centre, all_, lost in connection.execute(query)]


def _rows(
    connection: Connection,
    use_case: UseCase,
    found: Sequence[Mapping[str, Any]],
    held: list[dict[str, Any]],
    wanted: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Calls as rows, those alone that have one of the ``wanted`` reports where such are given."""
    rows = []
    for start in range(0, len(found), _CHUNK):
        part = found[start : start + _CHUNK]
        reports = reports_for(connection, part)
        for row in part:
            mine = reports.get(row["id"], [])
            if wanted is None or any(report["id"] in wanted for report in mine):
                made = _row(use_case, row, mine, held)
                rows += [] if made is None else [made]
    return rows


def drift_features_of(frame: pd.DataFrame) -> dict[str, Any]:
    """Derived features of texts and images that were logged with the n calls.

    Returns:
        Feature -> values (n,), object; None where a call has none.
    """
    kept = frame["call_watched"]
    names = sorted({name for item in kept if isinstance(item, Mapping) for name in item})
    return {name: np.array([(item or {}).get(name) for item in kept], dtype=object) for name in names}


def day_numbers(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Day of each call by its own time (UTC): days since 1970 (n,), int64."""
    seconds = frame["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return np.floor(seconds / _DAY_SECONDS).astype(np.int64)


def _row(
    use_case: UseCase,
    row: Mapping[str, Any],
    mine: Sequence[Mapping[str, Any]],
    held: list[dict[str, Any]],
) -> dict[str, Any] | None:
    request = to_request_columns(use_case, row["request"], row["received_at"])
    if request is None:
        return None
    good = [report for report in mine if not is_quarantined(held, report["centre"], report["received_at"])]
    bad = [report for report in mine if report not in good]
    labels = to_label_columns(use_case, latest_labels(good))
    nothing = {target.label: float("nan") for target in use_case.modelling.targets}
    kept_back = to_label_columns(use_case, latest_labels(bad)) or nothing
    return {
        **request,
        **(labels or nothing),
        **{f"held.{name}": value for name, value in kept_back.items()},
        "call_id": row["id"],
        "call_centre": row["centre"],
        "call_version": row["model_version"],
        "call_source": row["source"],
        "call_received_at": row["received_at"],
        "call_reported_at": max((report["received_at"] for report in mine), default=None),
        "call_stored_at": max(map(stored_at, mine), default=None),
        "call_held": bool(bad) and not labels,
        "call_watched": row["watched"],
    }


def _frame(use_case: UseCase, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame()
    columns: dict[str, pd.Series] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in {"call_received_at", "call_reported_at", "call_stored_at"}:
            columns[name] = pd.Series(pd.to_datetime(pd.Series(values), utc=True)).astype("datetime64[us, UTC]")
        elif name in {"call_held", "call_watched"}:
            columns[name] = pd.Series(values, dtype="bool" if name == "call_held" else "object")
        else:
            columns[name] = to_series(use_case, name, values)
    frame = pd.DataFrame(columns)
    moment = (
        frame[use_case.serving.time_field] if use_case.serving.time_field is not None else frame["call_received_at"]
    )
    frame["event_time"] = moment.fillna(frame["call_received_at"])
    frame[use_case.data.group_column] = frame["call_id"]
    return frame


def _deduplicate(use_case: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each distinct request and version, one with a label first; ``call_repeats`` counts the calls."""
    if frame.empty:
        return frame
    same = [*use_case.serving.request.model_fields, "call_version"]
    labels = [target.label for target in use_case.modelling.targets]
    repeats = frame.groupby(same, dropna=False, sort=False)["call_id"].transform("size")
    told = frame[labels].notna().any(axis=1)
    ordered = frame.assign(call_repeats=repeats, _told=told).sort_values(["_told", "call_received_at"], kind="stable")
    return ordered.drop_duplicates(same, keep="last").drop(columns="_told")


def _within_days(frame: pd.DataFrame, days: float) -> pd.DataFrame:
    if frame.empty:
        return frame
    times = np.sort(frame["event_time"].to_numpy(dtype="datetime64[us]"))
    length = np.timedelta64(timedelta(days=days))
    counts = np.arange(1, len(times) + 1) - np.searchsorted(times, times - length, side="right")
    full = np.flatnonzero(counts >= min(_STRAYS, int(counts.max())))
    newest = pd.Timestamp(times[full[-1]], tz="UTC")
    inside = frame[(frame["event_time"] > newest - timedelta(days=days)) & (frame["event_time"] <= newest)]
    return inside.sort_values(["event_time", "call_id"], kind="stable", ignore_index=True)
