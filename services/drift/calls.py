"""The calls that a run looks at: as they were asked, who answered them, and what was reported about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from services.core.calls.reports import merged, reports_on
from services.core.calls.tables import Prediction
from services.core.calls.training_rows import column_of, labels_of, request_of
from services.core.monitoring.findings import is_held
from services.core.usecases.contract import UseCase

_P = Prediction
_CHUNK = 500
_DAY = 86_400
_WANTED = (
    _P.id, _P.use_case, _P.centre, _P.request_id, _P.row_index, _P.incident_id, _P.received_at, _P.model_version,
    _P.source, _P.request, _P.kind, _P.watched,
)  # fmt: skip
OWN = ("id", "centre", "version", "source", "received_at", "reported_at", "held", "repeats")
"""Columns of a window beside request fields, labels and ``event_time``; each begins with ``call_``."""


def read_window(
    connection: Connection,
    use_case: UseCase,
    kinds: Sequence[str],
    *,
    days: float,
    maximum: int,
    held: list[dict[str, Any]],
) -> pd.DataFrame:
    """The newest calls of these kinds, at most ``maximum`` and no older than ``days`` before the newest, both by the
    calls' own time, in its order; the same question to the same version counts once. Labels are those of outcomes that
    are not held back; ``call_held`` marks the others, whose labels stand in ``held.<label>``."""
    query = select(*_WANTED).where(_P.use_case == use_case.name, _P.kind.in_(kinds))
    found = [dict(row) for row in connection.execute(query.order_by(_P.received_at.desc()).limit(maximum)).mappings()]
    rows = []
    latest: dict[tuple[str, str], str] = {}
    for row in found:  # newest first: the first prediction of an incident is the one that counts
        if row["incident_id"] is not None:
            latest.setdefault((row["centre"], row["incident_id"]), row["id"])
    for start in range(0, len(found), _CHUNK):
        part = found[start : start + _CHUNK]
        reports = reports_on(connection, part)
        rows += [made for row in part if (made := _row(use_case, row, reports.get(row["id"], ()), latest, held))]
    return _within(_once(use_case, _frame(use_case, rows)), days)


def watched_of(frame: pd.DataFrame) -> dict[str, Any]:
    """Derived columns of texts and images, as they were kept with the calls."""
    kept = frame["call_watched"]
    names = sorted({name for item in kept if isinstance(item, Mapping) for name in item})
    return {name: np.array([(item or {}).get(name) for item in kept], dtype=object) for name in names}


def days_of(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Each call's day since 1970, by the calls' own time."""
    seconds = frame["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return np.floor(seconds / _DAY).astype(np.int64)


def _row(
    use_case: UseCase,
    row: Mapping[str, Any],
    reports: Sequence[Mapping[str, Any]],
    latest: Mapping[tuple[str, str], str],
    held: list[dict[str, Any]],
) -> dict[str, Any] | None:
    request = request_of(use_case, row["request"])
    if request is None:
        return None
    mine = [
        report
        for report in reports
        if report["incident_id"] is None or latest[row["centre"], row["incident_id"]] == row["id"]
    ]
    good = [report for report in mine if not is_held(held, report["centre"], report["received_at"])]
    bad = [report for report in mine if report not in good]
    labels = labels_of(use_case, merged(good))
    nothing = {target.label: float("nan") for target in use_case.targets}
    kept_back = labels_of(use_case, merged(bad)) or nothing
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
        "call_held": bool(bad) and not labels,
        "call_watched": row["watched"],
    }


def _frame(use_case: UseCase, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame()
    columns: dict[str, pd.Series] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in {"call_received_at", "call_reported_at"}:
            columns[name] = pd.Series(pd.to_datetime(pd.Series(values), utc=True)).astype("datetime64[us, UTC]")
        elif name in {"call_held", "call_watched"}:
            columns[name] = pd.Series(values, dtype="bool" if name == "call_held" else "object")
        else:
            columns[name] = column_of(use_case, name, values)
    frame = pd.DataFrame(columns)
    moment = frame[use_case.time_field] if use_case.time_field is not None else frame["call_received_at"]
    frame["event_time"] = moment.fillna(frame["call_received_at"])
    frame[use_case.group] = frame["call_id"]
    return frame


def _once(use_case: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """Whoever asks the same again, such as the weather of one station and day, says nothing new: the call whose outcome
    is known stands for all, and ``call_repeats`` says for how many."""
    if frame.empty:
        return frame
    same = [*use_case.request.model_fields, "call_version"]
    labels = [target.label for target in use_case.targets]
    repeats = frame.groupby(same, dropna=False, sort=False)["call_id"].transform("size")
    told = frame[labels].notna().any(axis=1)
    ordered = frame.assign(call_repeats=repeats, _told=told).sort_values(["_told", "call_received_at"], kind="stable")
    return ordered.drop_duplicates(same, keep="last").drop(columns="_told")


def _within(frame: pd.DataFrame, days: float) -> pd.DataFrame:
    if frame.empty:
        return frame
    newest = frame["event_time"].max()
    inside = frame[frame["event_time"] > newest - timedelta(days=days)]
    return inside.sort_values(["event_time", "call_id"], kind="stable", ignore_index=True)
