"""Data drift: distance of each column from the reference sample, weighted to the window's season and hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from services.core.contract.columns import column_types, free_text_fields
from services.core.params import Monitoring
from services.drift.statistics import (
    Distance,
    categorical_distance,
    effective_sample_size,
    holm,
    numeric_distance,
    share_difference_p_value,
)

Floats = NDArray[np.float64]
_MIN_STRATUM_ROWS = 3
_MIN_COVERAGE = 0.8
_MIN_EFFECTIVE_ROWS = 150.0
MAX_WINDOWS = 12
MIN_WINDOW_ROWS = 60


def seasonal_weights(reference: pd.Series, current: pd.Series, zone: str) -> tuple[Floats, bool]:
    """Weights that give the reference the window's mix of months and hours of day.

    Args:
        reference: times of the reference rows (n,), with a time zone.
        current: times of the window's calls (m,), with a time zone.
        zone: the use case's time zone.

    Returns:
        Weights (n,), and whether the reference has those months at all. Where it has not, the hours alone are matched;
        where that does not work either, all rows count alike.
    """
    for with_month in (True, False):
        ours, theirs = _strata(reference, zone, with_month), _strata(current, zone, with_month)
        found, covered = _stratum_weights(ours, theirs)
        if covered >= _MIN_COVERAGE and effective_sample_size(found) >= min(_MIN_EFFECTIVE_ROWS, len(reference) / 4):
            return found, with_month
    return np.ones(len(reference)), False


def reference_windows(times: pd.Series, days: float) -> list[NDArray[np.bool_]]:
    """Cut the reference into windows: how far those lie from the rest is natural variation.

    Args:
        times: of the reference rows (n,), with a time zone.
        days: length of a window.

    Returns:
        At most ``MAX_WINDOWS`` masks (n,), bool.
    """
    seconds = times.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    number = np.floor((seconds - seconds.min()) / (days * 86_400)).astype(np.int64)
    found = [number == value for value in np.unique(number)]
    enough = [block for block in found if MIN_WINDOW_ROWS <= block.sum() <= len(number) / 2]
    step = max(len(enough) // MAX_WINDOWS, 1)
    return enough[::step][:MAX_WINDOWS]


def _strata(times: pd.Series, zone: str, with_month: bool) -> NDArray[np.int64]:
    local = times.dt.tz_convert(zone)
    band = local.dt.hour.to_numpy() // 3
    return np.asarray(local.dt.month.to_numpy() * 8 + band if with_month else band, dtype=np.int64)


def _stratum_weights(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> tuple[Floats, float]:
    size = int(max(ours.max(), theirs.max())) + 1
    have, want = np.bincount(ours, minlength=size), np.bincount(theirs, minlength=size)
    known = have >= _MIN_STRATUM_ROWS
    ratio = np.where(known, want / np.maximum(have, 1), 0.0)
    return ratio[ours], float(want[known].sum() / want.sum())


Kind = Literal["number", "words"]
ReferenceWindow = tuple[NDArray[np.bool_], Floats]
"""Rows of the reference (n,), and the weights of all other rows (n,)."""
MISSING = "missing"
NATURAL_VARIATION = 1.25
"""A distance counts from this many times the largest one among unchanged stretches of the reference."""
_ANY_TEXT = "some text"
MIN_VALUES = 30
"""Values that a column needs on both sides to be compared."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's values in the reference (n,) and the window (m,): floats with NaN, or text with "" for missing."""

    name: str
    kind: Kind
    reference: NDArray[Any]
    current: NDArray[Any]
    importance: float = 0.0
    """The column's share of the model's gain; 0 of outputs and of what is only watched."""
    counts: Floats | None = None
    """How much each row of the reference counts, where not all do alike."""


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """Drift of one column: distance ``value`` with its threshold, and shares (0 to 1) of missing and unseen values."""

    name: str
    kind: str
    measure: str
    value: float
    threshold: float
    p_value: float
    drifted: bool
    missing_reference: float
    missing_current: float
    unseen: float
    """Share of calls with a word that the reference does not have."""
    code: str
    """Why it has drifted: ``shifted``, ``missing`` or ``unseen``."""
    importance: float

    def as_json(self) -> dict[str, Any]:
        """The entry of the run's summary."""
        return {
            "name": self.name,
            "kind": self.kind,
            "measure": self.measure,
            "value": round(self.value, 4),
            "threshold": round(self.threshold, 4),
            "drifted": self.drifted,
            "missing_reference": round(self.missing_reference, 4),
            "missing_current": round(self.missing_current, 4),
            "unseen": round(self.unseen, 4),
        }


def compare_columns(
    columns: list[Column],
    reference_times: pd.Series | None,
    current_times: pd.Series,
    params: Monitoring,
    zone: str,
) -> tuple[list[ColumnDrift], bool]:
    """The drift of each column, with p-values corrected for the number of columns (Holm).

    Args:
        columns: values of n reference rows and m calls. Columns that are empty on both sides are dropped.
        reference_times: of the reference rows (n,); None where the use case has no time.
        current_times: of the calls (m,).
        params: thresholds and significance.
        zone: the use case's time zone.

    Returns:
        The drifts, and whether the reference has rows of the window's season.
    """
    if reference_times is None:
        weight, season = np.ones(len(columns[0].reference) if columns else 0), True
        stretches: list[ReferenceWindow] = []
    else:
        weight, season = seasonal_weights(reference_times, current_times, zone)
        stretches = _reference_windows_with_weights(reference_times, params.window_days, zone, season=season)
    found = [made for column in columns if (made := _compare_column(column, weight, stretches, params)) is not None]
    if not found:
        return [], season
    corrected = holm(np.array([drift.p_value for drift in found]))
    return [
        replace(drift, drifted=bool(drift.code and chance < params.significance), p_value=float(chance))
        for drift, chance in zip(found, corrected, strict=True)
    ], season


def drifted_share(columns: list[ColumnDrift]) -> float:
    """Share (0 to 1) of the model's importance that lies on drifted inputs; of all columns where none has any.

    Missing values do not count: callers may omit fields, and the held-out rows are masked likewise.
    """
    total = sum(column.importance for column in columns)
    moved = [column for column in columns if column.drifted and column.code != MISSING]
    if total > 0:
        return sum(column.importance for column in moved) / total
    return len(moved) / len(columns) if columns else 0.0


def _reference_windows_with_weights(times: pd.Series, days: float, zone: str, *, season: bool) -> list[ReferenceWindow]:
    """Each window of the reference (mask), and weights (n,) that give the rest its season where ``season`` is known."""
    made = []
    for block in reference_windows(times, days):
        rest = np.where(block, 0.0, 1.0)
        if season:
            rest[~block] = seasonal_weights(times[~block], times[block], zone)[0]
        made.append((block, rest))
    return made


def _compare_column(
    column: Column, weight: Floats, stretches: list[ReferenceWindow], params: Monitoring
) -> ColumnDrift | None:
    counts = np.ones(len(column.reference)) if column.counts is None else column.counts
    weight = weight * counts if (weight * counts).sum() > 0 else counts
    here, there = _present(column.kind, column.reference), _present(column.kind, column.current)
    if not here.any() and not there.any():
        return None
    missing = (float(np.average(~here, weights=weight)), float((~there).mean()))
    chances = [share_difference_p_value(missing[0], missing[1], effective_sample_size(weight), len(there))]
    code = MISSING if abs(missing[1] - missing[0]) >= params.missing_difference else ""
    distance, threshold, unseen = Distance("", 0.0, 1.0), _threshold(column.kind, params), 0.0
    if (weight[here] > 0).sum() >= MIN_VALUES and there.sum() >= MIN_VALUES:
        apart = numeric_distance if column.kind == "number" else categorical_distance
        distance = apart(column.reference[here], column.current[there], weight[here])
        usual = [
            apart(column.reference[here & ~block], column.reference[here & block], (rest * counts)[here & ~block])
            for block, rest in stretches
            if (here & block).sum() >= MIN_VALUES and ((rest * counts)[here & ~block] > 0).sum() >= MIN_VALUES
        ]
        threshold = max([threshold, *(NATURAL_VARIATION * item.value for item in usual)])
        if distance.value >= threshold:
            code, chances = "shifted", [distance.p_value]
        if column.kind == "words":
            unseen, usually = _unseen_share(column.reference[here], column.current[there])
            if unseen - usually >= params.unseen_share:
                code = "unseen"
                chances = [share_difference_p_value(usually, unseen, effective_sample_size(weight), int(there.sum()))]
    measure = distance.measure or ("wasserstein" if column.kind == "number" else "jensenshannon")
    return ColumnDrift(
        name=column.name,
        kind=column.kind,
        measure=measure,
        value=distance.value,
        threshold=threshold,
        p_value=min(chances),
        drifted=False,
        missing_reference=missing[0],
        missing_current=missing[1],
        unseen=unseen,
        code=code,
        importance=column.importance,
    )


def _threshold(kind: Kind, params: Monitoring) -> float:
    return params.number_distance if kind == "number" else params.word_distance


def _present(kind: Kind, values: NDArray[Any]) -> NDArray[np.bool_]:
    return ~np.isnan(values.astype(np.float64)) if kind == "number" else np.asarray(values != "", dtype=np.bool_)


def _unseen_share(reference: NDArray[Any], current: NDArray[Any]) -> tuple[float, float]:
    """Share of current words that the reference lacks, and the share expected of any sample (Good and Turing)."""
    words, counts = np.unique(reference.astype(str), return_counts=True)
    known = set(words.tolist())
    missing = float(np.mean([str(word) not in known for word in current.tolist()]))
    return missing, float((counts == 1).sum() / len(reference))


def request_columns(
    request: type[BaseModel], reference: pd.DataFrame, current: pd.DataFrame, importance: Mapping[str, float]
) -> list[Column]:
    """The request's fields, without times and images, as columns to compare.

    Args:
        request: model of the request. Of free texts only their presence is compared: no two are the same.
        reference: n rows of the reference sample.
        current: m calls of the window.
        importance: field -> share of the model's gain.

    Returns:
        One column for each field that is on both sides.
    """
    made, free = [], free_text_fields(request)
    for name, kind in column_types(request).items():
        if kind in {"time", "date", "image"} or name not in reference or name not in current:
            continue
        shape: Kind = "words" if kind in {"category", "text", "flag"} else "number"
        sides = [column_values(side[name], shape) for side in (reference, current)]
        if name in free:
            sides = [np.where(side == "", "", _ANY_TEXT).astype(object) for side in sides]
        made.append(Column(name, shape, sides[0], sides[1], importance.get(name, 0.0)))
    return made


def column_values(series: pd.Series, shape: Kind) -> NDArray[Any]:
    """A column (n,) as float64 with NaN for missing values, or as str (object) with "" for them."""
    if shape == "number":
        return np.asarray(pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
    plain = series.astype(object)
    return (
        plain.where(series.notna(), "").map(lambda value: value if value == "" else str(value)).to_numpy(dtype=object)
    )
