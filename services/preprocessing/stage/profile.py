"""Data profile of the examples (``profile.json``): distributions of fields and targets, without single rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from services.core.contract.columns import column_types, local_time
from services.core.contract.use_case import BinaryClassification, MultiClass, Regression, Target, UseCase

if TYPE_CHECKING:
    import pandas as pd

PROFILE_FILE = "profile.json"
FORMAT = 1
BINS, MAX_WORDS, MAX_GROUPS, MAX_MONTHS = 30, 20, 40, 60
MIN_ROWS = 10
"""Minimum number of rows of a category or group that is shown."""
CELLS = 60
"""Number of grid cells along the longer side of the map."""
Floats = NDArray[np.float64]


def build_profile(use_case: UseCase, examples: pd.DataFrame) -> dict[str, Any]:
    """Content of ``profile.json``: ``rows``, ``fields``, ``times``, ``targets`` and ``places``, as JSON."""
    of = column_types(use_case.serving.request)
    times = _times(use_case, examples)
    found = {
        "format": FORMAT,
        "use_case": use_case.name,
        "rows": len(examples),
        "fields": {name: _field(examples[name], kind) for name, kind in of.items() if name in examples},
        "times": {name: _count_values(values) for name, values in times.items()},
        "targets": {target.name: _target(use_case, target, examples, times) for target in use_case.modelling.targets},
        "places": _places(use_case, examples),
    }
    cleaned: dict[str, Any] = _to_json(found)
    return cleaned


# --- fields -----------------------------------------------------------------------------------------


def _field(column: pd.Series, kind: str) -> dict[str, Any]:
    present = column.dropna()
    if kind in {"category", "text"}:
        present = present[present.astype(object) != ""]
    about: dict[str, Any] = {"kind": kind, "missing": 1 - len(present) / max(len(column), 1)}
    if not len(present) or kind not in {"number", "flag", "category", "text"}:
        return about
    if kind in {"category", "text"}:
        return about | _word_counts(present)
    values = present.to_numpy(dtype=np.float64)
    if kind == "flag":
        return about | {"true": int((values > 0.5).sum()), "false": int((values <= 0.5).sum())}
    return about | _numbers(values)


def _word_counts(present: pd.Series) -> dict[str, Any]:
    counts = present.value_counts()
    shown = [(str(word), int(rows)) for word, rows in counts.head(MAX_WORDS).items() if rows >= MIN_ROWS]
    return {"distinct": len(counts), "values": shown, "others": int(counts.sum() - sum(rows for _, rows in shown))}


def _numbers(values: Floats) -> dict[str, Any]:
    """Histogram between the 1st and 99th percentile, so that outliers do not compress it; values beyond are counted
    in the first and last bin."""
    low, high = np.quantile(values, (0.005, 0.995))
    distinct = np.unique(values)
    if len(distinct) <= BINS:
        counts = np.searchsorted(distinct, values)
        return _summary(values) | {"steps": distinct, "counts": np.bincount(counts, minlength=len(distinct))}
    counts, edges = np.histogram(
        np.clip(values, low, high), bins=BINS, range=(low, max(high, np.nextafter(low, np.inf)))
    )
    return _summary(values) | {"edges": edges, "counts": counts}


def _summary(values: Floats) -> dict[str, Any]:
    names = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")
    found = dict(zip(names, np.quantile(values, (0, 0.25, 0.5, 0.75, 1)), strict=True))
    return found | {"mean": values.mean()}


# --- time -------------------------------------------------------------------------------------------


def _times(use_case: UseCase, examples: pd.DataFrame) -> dict[str, Any]:
    """Calendar unit -> value of each row as text ("" if unknown)."""
    name = use_case.serving.time_field or "event_time"
    if name not in examples:
        return {}
    zone = use_case.data.timezone or "UTC"
    local = examples[name].dt.tz_convert(zone)
    found = {"month": _text(local.dt.strftime("%Y-%m"))}
    if column_types(use_case.serving.request).get(name, "time") == "date":
        # A date is midnight UTC: converting the zone would move it.
        return {"month": _text(examples[name].dt.strftime("%Y-%m"))}
    clock = local_time(_seconds(examples[name]), zone)
    known = np.isfinite(clock.hour)
    for part, values in (("hour", clock.hour), ("weekday", clock.weekday)):
        words = np.full(len(values), "", dtype=object)
        words[known] = np.char.mod("%02d" if part == "hour" else "%d", np.floor(values[known]).astype(np.int64))
        found[part] = words
    # The same hour in all rows carries no information: the time is a date.
    return {part: words for part, words in found.items() if len(set(words) - {""}) > 1}


def _seconds(column: pd.Series) -> Floats:
    stamps = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 1e6)


def _text(column: pd.Series) -> Any:
    return column.astype(object).where(column.notna(), "").to_numpy(dtype=object)


def _count_values(words: Any) -> list[tuple[str, int]]:
    names, counts = np.unique(words.astype(str), return_counts=True)
    return [(str(name), int(rows)) for name, rows in zip(names, counts, strict=True) if name][-MAX_MONTHS:]


# --- targets ----------------------------------------------------------------------------------------


def _target(use_case: UseCase, target: Target, examples: pd.DataFrame, times: Mapping[str, Any]) -> dict[str, Any]:
    label = examples[target.label].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(label)
    values, output = label[known], target.output
    about: dict[str, Any] = {"rows": len(values), "missing": 1 - len(values) / max(len(label), 1)}
    if isinstance(output, Regression):
        about |= {"kind": "quantity", "unit": output.unit} | (_numbers(values) if len(values) else {})
    elif isinstance(output, BinaryClassification):
        about |= {"kind": "probability", "share": values.mean() if len(values) else None}
    else:
        counts = np.bincount(values.astype(np.int64), minlength=len(output.labels))
        about |= {"kind": "classes", "labels": output.labels, "counts": counts}
    groups = {column: words[known] for column, words in times.items() if column != "month"}
    for subgroup in use_case.modelling.subgroups:
        groups[subgroup.column] = _text(examples[subgroup.column])[known]
    about["by"] = {name: list(_by_group(values, words.astype(str), output)) for name, words in groups.items()}
    return about


def _by_group(values: Floats, words: Any, output: object) -> Iterator[dict[str, Any]]:
    """Target summary of each group with enough rows, the largest groups only, sorted by name."""
    names, member, counts = np.unique(words, return_inverse=True, return_counts=True)
    large = [at for at in np.argsort(-counts, kind="stable")[:MAX_GROUPS] if counts[at] >= MIN_ROWS and names[at]]
    for at in sorted(large):
        own = values[member == at]
        yield {"group": str(names[at]), "rows": len(own)} | _group_summary(own, output)


def _group_summary(own: Floats, output: object) -> dict[str, Any]:
    """Mean with 95 % interval; for classes the share of each."""
    if isinstance(output, MultiClass):
        return {"shares": np.bincount(own.astype(np.int64), minlength=len(output.labels)) / len(own)}
    if isinstance(output, BinaryClassification):
        low, high = proportion_confint(own.sum(), len(own), method="wilson")
        return {"value": own.mean(), "low": low, "high": high}
    half = 1.96 * own.std() / len(own) ** 0.5
    return {"value": own.mean(), "low": own.mean() - half, "high": own.mean() + half}


# --- places -----------------------------------------------------------------------------------------


def _places(use_case: UseCase, examples: pd.DataFrame) -> dict[str, Any] | None:
    """Rows per cell of a grid over the middle 99 % of locations, or per named place; None if the use case has none."""
    place = use_case.presentation.map
    if place is None:
        return None
    found: dict[str, Any] = {"x": place.x, "y": place.y}
    if place.x in examples and place.y in examples:
        x = examples[place.x].to_numpy(dtype=np.float64, na_value=np.nan)
        y = examples[place.y].to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.isfinite(x) & np.isfinite(y)
        return found | _grid(x[known], y[known]) if known.sum() >= MIN_ROWS else None
    if place.name_field is None or place.name_field not in examples:
        return None
    counts = examples[place.name_field].value_counts()
    cells = [(*place.points[str(name)], int(rows)) for name, rows in counts.items() if name in place.points]
    shown = [cell for cell in cells if cell[2] >= MIN_ROWS]
    return found | {"size": None, "rows": sum(cell[2] for cell in shown), "cells": shown} if shown else None


def _grid(x: Floats, y: Floats) -> dict[str, Any]:
    (left, right), (low, high) = np.quantile(x, (0.005, 0.995)), np.quantile(y, (0.005, 0.995))
    inside = (x >= left) & (x <= right) & (y >= low) & (y <= high)
    size = max(right - left, high - low, 1e-9) / CELLS
    column, row = np.floor((x[inside] - left) / size), np.floor((y[inside] - low) / size)
    cells, counts = np.unique(np.column_stack([column, row]), axis=0, return_counts=True)
    middles = cells * size + [left + size / 2, low + size / 2]
    return {
        "size": size,
        "rows": int(inside.sum()),
        "cells": [(round(float(a), 6), round(float(b), 6), int(n)) for (a, b), n in zip(middles, counts, strict=True)],
    }


def _to_json(value: Any) -> Any:
    """Convert NumPy values to JSON with six significant digits; non-finite numbers become null."""
    if isinstance(value, Mapping):
        return {str(key): _to_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_to_json(inner) for inner in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
