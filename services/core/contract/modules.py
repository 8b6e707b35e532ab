"""Interfaces (protocols) of a use case's modules, and computing its drift features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol, cast

from numpy.typing import NDArray

from services.core.contract.use_case import (
    Arrays,
    Columns,
    ContextSource,
    Features,
    ParsedTable,
    TargetPrediction,
    UseCase,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from services.core.settings import Settings


class FeatureModule(Protocol):
    """``features.py``. NumPy alone; the same function answers one call and a million rows."""

    FEATURE_NAMES: Mapping[str, tuple[str, ...]]
    """Matrix name -> the names of its columns, in order; of blocks of columns where there are thousands."""
    FEATURE_INPUTS: Mapping[str, tuple[str, ...]]
    """Feature name -> the request fields that it is made from (contributions are summed by them)."""

    def fit(
        self,
        columns: Columns,
        labels: Mapping[str, NDArray[np.float64]],
        reference: Mapping[str, NDArray[Any]],
        context: Mapping[str, Any],
    ) -> Arrays:
        """Learn encodings from training rows. ``labels`` is target name -> (n,), NaN where the row is
        not one of the target's. Training calls it on folds, so that the rows it learned from are
        never the rows that it encodes; the final one, on all training rows, goes into the bundle."""
        ...

    def prepare(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """What ``features`` needs, prepared once from the stored arrays (of ``fit`` and ``audit``)."""
        ...

    def features(self, columns: Columns, fitted: Any, context: Mapping[str, Any]) -> Features: ...

    def post_training_checks(
        self,
        columns: Columns,
        labels: Mapping[str, NDArray[np.float64]],
        values: Mapping[str, TargetPrediction],
        fitted: Any,
    ) -> Arrays:
        """Findings about the finished model on rows that it did not learn from (the calibration
        slice), stored in the bundle beside what ``fit`` learned. May return nothing."""
        ...


class DriftFeatureModule(Protocol):
    """``features.py`` of a use case that declares ``watched`` columns."""

    def drift_features(self, columns: Columns, fitted: Any) -> Mapping[str, NDArray[Any]]:
        """Each of ``UseCase.watched`` -> (n,): float64 (missing is NaN) for numbers, objects of str (missing is
        "") for categories. ``fitted`` is None where no model is."""
        ...


class RawModule(Protocol):
    """``raw.py``. pandas; reads canonical tables out of strings and makes examples of them. It may have
    ``outcome_examples(rows)`` too: requests and labels of reported calls, with what else examples hold."""

    def parse_table(self, table: str, frame: pd.DataFrame) -> ParsedTable:
        """``frame`` holds strings as they stand in the file (missing is ""), column names stripped,
        and ``line``, the line number in the file."""
        ...

    def build_examples(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """``tables`` are canonical rows of all files, merged by ``Table.key`` and without ``line``.

        One row per example: the request's fields, the labels, the weights, the columns of
        subgroups, ``UseCase.group`` and ``event_time`` (UTC timestamps; absent without time)."""
        ...

    def lookup_tables(self, tables: Mapping[str, pd.DataFrame]) -> Arrays:
        """Tables that ``fit`` needs besides the examples: stations, holidays. May be empty."""
        ...

    def training_context(self, tables: Mapping[str, pd.DataFrame]) -> Arrays:
        """The context of the training period, for example hourly weather. May be empty."""
        ...


class SimulatorModule(Protocol):
    """``simulator.py``. Writes files in the official layout from a causal model.

    It may have ``MAX_ROWS_PER_DAY``: where more rows on a day would come from more places than the models of simulated
    data know, those who play the same world ask for no more."""

    def write(
        self, folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()
    ) -> list[Path]:
        """Write about ``rows`` incidents from the day ``start`` (ISO) on over ``days`` days."""
        ...


class ContextModule(Protocol):
    """``context.py``."""

    def source(self, settings: Settings) -> ContextSource | None:
        """What keeps this use case's context, or None where its model needs nothing from outside."""


def compute_drift_features(
    use_case: UseCase, columns: Mapping[str, NDArray[Any]], fitted: Any
) -> Mapping[str, NDArray[Any]]:
    """Each watched column (n,): float64 (missing is NaN) or objects of str (missing is ""). Empty where the use case
    declares none. ``fitted`` is None where no model is."""
    if not use_case.watched:
        return {}
    found = cast("DriftFeatureModule", use_case.features).drift_features(columns, fitted)
    return {name: found[name] for name in use_case.watched}


def drift_features_as_json(columns: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Derived columns row by row as JSON holds them: None for missing."""
    lists = {name: values.tolist() for name, values in columns.items()}
    count = len(next(iter(lists.values()))) if lists else 0
    return [{name: _json_value(values[row]) for name, values in lists.items()} for row in range(count)]


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    return value or None
