"""What the modules of a use case offer, beside its declaration: ``features``, ``raw``, ``simulator`` and the
optional ``context``. ``contract.py`` has the types that go in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from services.core.usecases.contract import Arrays, Checked, Columns, ContextSource, Features, Value

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from services.core.settings import Settings


class FeatureModule(Protocol):
    """``features.py``. NumPy alone; the same function answers one call and a million rows."""

    MATRICES: Mapping[str, tuple[str, ...]]
    """Matrix name -> the names of its columns, in order; of blocks of columns where there are thousands."""
    INPUTS: Mapping[str, tuple[str, ...]]
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

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """What ``features`` needs, prepared once from the stored arrays (of ``fit`` and ``audit``)."""
        ...

    def features(self, columns: Columns, fitted: Any, context: Mapping[str, Any]) -> Features: ...

    def audit(
        self,
        columns: Columns,
        labels: Mapping[str, NDArray[np.float64]],
        values: Mapping[str, Value],
        fitted: Any,
    ) -> Arrays:
        """Findings about the finished model on rows that it did not learn from (the calibration
        slice), stored in the bundle beside what ``fit`` learned. May return nothing."""
        ...


class WatchingModule(Protocol):
    """``features.py`` of a use case that declares ``watched`` columns."""

    def watched(self, columns: Columns, fitted: Any) -> Mapping[str, NDArray[Any]]:
        """Each of ``UseCase.watched`` -> (n,): float64 (missing is NaN) for numbers, objects of str (missing is
        "") for categories. ``fitted`` is None where no model is."""
        ...


class RawModule(Protocol):
    """``raw.py``. pandas; reads canonical tables out of strings and makes examples of them. It may have
    ``outcome_examples(rows)`` too: requests and labels of reported calls, with what else examples hold."""

    def canonical(self, table: str, frame: pd.DataFrame) -> Checked:
        """``frame`` holds strings as they stand in the file (missing is ""), column names stripped,
        and ``line``, the line number in the file."""
        ...

    def examples(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """``tables`` are canonical rows of all files, merged by ``Table.key`` and without ``line``.

        One row per example: the request's fields, the labels, the weights, the columns of
        subgroups, ``UseCase.group`` and ``event_time`` (UTC timestamps; absent without time)."""
        ...

    def reference(self, tables: Mapping[str, pd.DataFrame]) -> Arrays:
        """Tables that ``fit`` needs besides the examples: stations, holidays. May be empty."""
        ...

    def context(self, tables: Mapping[str, pd.DataFrame]) -> Arrays:
        """The context of the training period, for example hourly weather. May be empty."""
        ...


class SimulatorModule(Protocol):
    """``simulator.py``. Writes files in the official layout from a causal model.

    It may have ``ROWS_A_DAY``: where more rows on a day would come from more places than the models of simulated data
    know, those who play the same world ask for no more."""

    def write(
        self, folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()
    ) -> list[Path]:
        """Write about ``rows`` incidents from the day ``start`` (ISO) on over ``days`` days."""
        ...


class ContextModule(Protocol):
    """``context.py``."""

    def source(self, settings: Settings) -> ContextSource | None:
        """What keeps this use case's context, or None where its model needs nothing from outside."""
