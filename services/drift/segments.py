"""Groups of calls that an error can hide in: centres, areas, hours, kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.usecases.columns import free_texts, kinds
from services.core.usecases.contract import UseCase

CENTRE, HOUR = "centre", "hour"
NEW, KNOWN = "never seen before", "known"
"""Values of a column whose words are too many to be groups: whether the model knows the word."""
MOST_VALUES = 150
"""A column with more values names single calls, not groups."""
_NOBODY = frozenset({"", KNOWN, "unknown", "elsewhere", "nan", "None"})


@dataclass(frozen=True, slots=True)
class Segment:
    column: str
    value: str

    @property
    def is_place_or_kind(self) -> bool:
        return self.column not in {CENTRE, HOUR}

    def described(self) -> str:
        return self.value if self.column == CENTRE else f"{self.column} {self.value}"


def segment_columns(
    use_case: UseCase, frame: pd.DataFrame, facts: Mapping[str, Any], reference: pd.DataFrame
) -> dict[str, NDArray[Any]]:
    """Column -> each row's word (n,): the declared subgroups, fields that hold words, facts that the models found in
    words (such as the station that a call was given to), the centre, and the hour of day in four parts. Of a field with
    too many words it is whether ``reference``, the bundle's sample, has the word."""
    of, free = kinds(use_case.request), free_texts(use_case.request)
    names = [group.column for group in use_case.subgroups if group.column in frame]
    names += [name for name, kind in of.items() if kind in {"category", "text", "flag"} and name not in {*names, *free}]
    found = {name: _words(frame[name]) for name in names if name in frame}
    for name, values in facts.items():
        array = np.asarray(values)
        if array.dtype.kind in {"U", "O", "S"} and array.shape == (len(frame),):
            found.setdefault(name, np.array([str(value) for value in array.tolist()], dtype=object))
    if "call_centre" in frame:
        found[CENTRE] = _words(frame["call_centre"])
    if "event_time" in frame and use_case.time_field is not None and of.get(use_case.time_field) == "time":
        hour = frame["event_time"].dt.tz_convert(use_case.zone or "UTC").dt.hour.to_numpy() // 6 * 6
        found[HOUR] = np.array([f"{value:02d}-{value + 6:02d}" for value in hour.tolist()], dtype=object)
    for name, words in found.items():
        if name in reference and len(set(reference[name].astype(object).tolist())) > MOST_VALUES:
            vocabulary = set(_words(reference[name]).tolist())
            found[name] = np.array([KNOWN if word in vocabulary or not word else NEW for word in words], dtype=object)
    return {name: words for name, words in found.items() if 1 < len(set(words.tolist())) <= MOST_VALUES}


def completed(use_case: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """Calls with the columns that follow from their fields, as their outcomes would have them in training."""
    complete = getattr(use_case.raw, "outcome_examples", None)
    if complete is None or frame.empty:
        return frame
    made: pd.DataFrame = complete(frame.reset_index(drop=True))
    kept = [group.column for group in use_case.subgroups if group.column in made and group.column not in frame]
    return frame.assign(**{name: made[name].to_numpy() for name in kept})


def speaking(word: str) -> bool:
    """Whether a value says anything about the calls that have it."""
    return word not in _NOBODY


def box(use_case: UseCase, frame: pd.DataFrame, rows: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Where the rows lie: field -> [low, high], of the fields that the use case declares as places."""
    found = {}
    for name, step in use_case.personal.items():
        if step is None or name not in frame or not pd.api.types.is_numeric_dtype(frame[name]):
            continue
        values = frame.loc[rows, name].dropna()
        if len(values) >= max(10, rows.sum() / 2):
            found[name] = [float(values.quantile(0.02)), float(values.quantile(0.98))]
    return found


def _words(series: pd.Series) -> NDArray[Any]:
    def word(value: Any) -> str:
        if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
            return ""
        return f"{value:g}" if isinstance(value, float) else str(value)

    return np.array([word(value) for value in series.astype(object).tolist()], dtype=object)
