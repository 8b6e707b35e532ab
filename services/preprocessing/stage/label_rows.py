"""Appends reported labels as examples, and drops examples that are outdated by a confirmed concept drift."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError

LABELS_FILE = "outcomes.parquet"
ORIGIN = "origin"
UNKNOWN = "unknown"
SAME_INCIDENT = pd.Timedelta(hours=2)
"""How far a call's time may be from that of the official record of its incident."""

log = structlog.get_logger(__name__)


def append_labels(use_case: UseCase, examples: pd.DataFrame, folder: Path, *, simulated: bool) -> pd.DataFrame:
    """Append outcomes of the same kind (real or simulated) to the examples, in time order, and mark each row's origin.

    Raises:
        VigieError: the file is damaged.
    """
    marked = examples.assign(**{ORIGIN: "simulated" if simulated else "official"})
    path = folder / LABELS_FILE
    if not path.is_file():
        return marked
    try:
        found = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise VigieError(f"{path} cannot be read: {error}", action="Run the preprocess step again.") from error
    rows = _label_examples(use_case, found[found["call_simulated"] == simulated], examples)
    if rows.empty:
        return marked
    rows[ORIGIN] = "simulated_outcome" if simulated else "outcome"
    marked, rows = _align_dtypes(marked, rows)
    joined = pd.concat([marked, rows[marked.columns]], ignore_index=True)
    return joined.sort_values("event_time", kind="stable", ignore_index=True) if "event_time" in joined else joined


def _label_examples(use_case: UseCase, found: pd.DataFrame, official: pd.DataFrame) -> pd.DataFrame:
    """Outcomes as rows with all columns of the examples."""
    own = [
        name for name in found if str(name).startswith("call_") and name not in use_case.serving.request.model_fields
    ]
    rows = found.drop(columns=own)
    rows[use_case.data.group_column] = found["call_group"]  # of centre and incident: two centres may number alike
    if "event_time" in official:
        time = use_case.serving.time_field
        rows["event_time"] = found["call_received_at"] if time is None else rows[time]
    if use_case.data.incident_is_group:
        replaced = _officially_recorded(use_case, rows, found["call_incident"], official)
        if replaced.any():
            log.info("official records take the place of outcomes", use_case=use_case.name, rows=int(replaced.sum()))
        rows = rows[~replaced]
    rows = use_case.raw.build_label_examples(rows.reset_index(drop=True))
    labels = [target.label for target in use_case.modelling.targets]
    rows = rows[rows[labels].notna().any(axis=1)].reset_index(drop=True)
    return _fill_missing_columns(use_case, rows, official)


def _officially_recorded(
    use_case: UseCase, rows: pd.DataFrame, incidents: pd.Series, official: pd.DataFrame
) -> NDArray[np.bool_]:
    """Which outcomes (n,) have an official record, which is more complete: of the same number, time and place. The
    number alone proves nothing, since a centre may number incidents by itself."""
    steps = {name: step for name, step in use_case.serving.pii_fields.items() if step is not None}
    places = [name for name in steps if name in official and name in rows]
    columns = [*places, *(["event_time"] if "event_time" in official else [])]
    theirs = official[columns].assign(call_incident=official[use_case.data.group_column].astype(str))
    mine = rows[columns].assign(call_incident=incidents.astype(str), row=np.arange(len(rows)))
    mine = mine[(mine["call_incident"] != "") & mine["call_incident"].isin(set(theirs["call_incident"]))]
    pairs = mine.merge(theirs, on="call_incident", suffixes=("", "_official"))
    same = pd.Series(True, index=pairs.index)
    for name in places:
        far = (pairs[name] - pairs[f"{name}_official"]).abs() > steps[name]
        same &= ~far  # a place that one of them does not say speaks against nothing
    if "event_time" in official:
        same &= (pairs["event_time"] - pairs["event_time_official"]).abs() <= SAME_INCIDENT
    found = np.zeros(len(rows), dtype=np.bool_)
    found[pairs.loc[same, "row"].to_numpy()] = True
    return found


def _fill_missing_columns(use_case: UseCase, rows: pd.DataFrame, official: pd.DataFrame) -> pd.DataFrame:
    """Fill columns that neither call nor use case provides: weight 1, missing number, unknown category; and the period
    of the preceding official rows."""
    splits = {target.split or use_case.modelling.split for target in use_case.modelling.targets}
    periods = {split.within for split in splits if split.within is not None}
    weights = {target.weight for target in use_case.modelling.targets if target.weight}
    for name in official.columns:
        if name in rows:
            continue
        if name in periods and "event_time" in official:
            rows[name] = _value_at_time(rows, official, name)
        elif name in weights:
            rows[name] = 1.0
        elif pd.api.types.is_numeric_dtype(official[name]) or pd.api.types.is_datetime64_any_dtype(official[name]):
            rows[name] = _missing_values(rows, official[name])
        else:
            rows[name] = UNKNOWN
    return rows


def _value_at_time(rows: pd.DataFrame, official: pd.DataFrame, name: str) -> pd.Series:
    known = official[["event_time", name]].sort_values("event_time", kind="stable")
    place = known["event_time"].searchsorted(rows["event_time"], side="right") - 1
    return pd.Series(known[name].to_numpy()[place.clip(min=0)], index=rows.index)


def _align_dtypes(official: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Align the column types, so that official rows read as they do without outcomes. Only if an outcome lacks a
    number that official rows always have, an integer column becomes float."""
    official, rows = official.copy(), rows.copy()
    for name in official.columns:
        wanted = official[name].dtype
        if pd.api.types.is_bool_dtype(wanted) or pd.api.types.is_integer_dtype(wanted):
            numbers = pd.to_numeric(rows[name], errors="coerce")
            if numbers.isna().any():
                official[name] = official[name].astype("float64")
            rows[name] = numbers.astype(official[name].dtype)
        elif pd.api.types.is_numeric_dtype(wanted) and not pd.api.types.is_numeric_dtype(rows[name]):
            official[name], rows[name] = official[name].astype("str"), rows[name].astype("str")  # such as the group
        else:
            rows[name] = rows[name].astype(wanted)
    return official, rows


def _missing_values(rows: pd.DataFrame, like: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(like):
        return pd.Series(pd.NaT, index=rows.index, dtype=like.dtype)
    return pd.Series(float("nan"), index=rows.index, dtype="float64")


CHANGES_FILE = "changes.json"
REGIME, BEFORE, AFTER = "era", "before", "since"
MAX_OLD_PER_NEW = 2
"""If the drift affects all rows, this many of the latest earlier rows are retained per later row."""


def drop_outdated_rows(examples: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Remove the rows that a concept drift has outdated, and add the era of each row. Unchanged without a drift or
    without rows after it.

    Raises:
        VigieError: the file is damaged.
    """
    path = folder / CHANGES_FILE
    if not path.is_file() or "event_time" not in examples:
        return examples
    try:
        changes = json.loads(path.read_text(encoding="utf-8"))
        moments = [pd.Timestamp(change["since"]) for change in changes]
    except (ValueError, KeyError, TypeError) as error:
        raise VigieError(f"{path} cannot be read: {error}", action="Run the preprocess step again.") from error
    times = examples["event_time"]
    untrue = np.zeros(len(examples), dtype=np.bool_)
    for change, since in zip(changes, moments, strict=True):
        before = (times < since).to_numpy(dtype=bool)
        if before.all():
            continue
        untrue |= before & _outdated(examples, change["segments"], before)
    last = max((moment for moment in moments if (times >= moment).any()), default=None)
    if last is None:
        return examples
    marked = examples.assign(**{REGIME: np.where(times >= last, AFTER, BEFORE)})
    return marked[~untrue].reset_index(drop=True)


def _outdated(
    examples: pd.DataFrame, segments: list[Mapping[str, Any]], before: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Mask of the outdated rows. If that is all earlier rows, the latest of them are retained: enough to learn from,
    too few to outweigh the new ones."""
    if not segments:
        kept = MAX_OLD_PER_NEW * int((~before).sum())
        old = np.flatnonzero(before)
        changed = np.zeros(len(examples), dtype=np.bool_)
        changed[old[: max(len(old) - kept, 0)]] = True
        return changed
    changed = np.zeros(len(examples), dtype=np.bool_)
    for segment in segments:
        changed |= _in_segment(examples, segment)
    return changed


def _in_segment(examples: pd.DataFrame, segment: Mapping[str, Any]) -> NDArray[np.bool_]:
    inside = np.zeros(len(examples), dtype=np.bool_)
    if segment["column"] in examples:
        inside |= (examples[segment["column"]].astype(str) == segment["value"]).to_numpy(dtype=bool)
    box = segment.get("box") or {}
    if box and all(name in examples for name in box):
        within = np.ones(len(examples), dtype=np.bool_)
        for name, (low, high) in box.items():
            within &= examples[name].between(low, high).to_numpy(dtype=bool)
        inside |= within
    return inside
