"""Base classes of what a use case implements (``features``, ``raw``, ``simulator``), with defaults where it need not.

A module of a use case implements one of them by functions and constants of the same names, or by a subclass. What it
leaves out has the base class's default.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from math import isfinite
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from services.core.errors import VigieError
from services.deprecated_names import accepts_old_fields, with_new_hooks

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from services.core.contract.outputs import TargetPrediction
    from services.core.contract.tables import ParsedTable
    from services.core.contract.use_case import UseCase
    from services.core.settings import Settings

    Columns = Mapping[str, NDArray[Any]]
    """Request field -> one value per row. Numbers, flags, times and dates are float64 (times in seconds
    since 1970 UTC, dates as their midnight, missing is NaN); categories and text are object arrays of str
    (missing is ""); pictures are object arrays of uint8 arrays (side, side, 3) (missing is None)."""

    Arrays = dict[str, NDArray[Any]]
    """Named arrays that can be stored without pickle: numbers, booleans and unicode strings."""
else:
    Columns, Arrays = Mapping, dict


@accepts_old_fields(facts="extras")
class Features(NamedTuple):
    """What the feature function returns for n rows.

    Attributes:
        matrices: Matrix name -> float32 array (n, p), C-contiguous, missing as NaN, or ``SparseRows``.
        extras: What the answer needs besides the models' outputs, one value per row: arrays (n,).
    """

    matrices: dict[str, Any]
    extras: dict[str, Any]


class FeatureSet(ABC):
    """``features.py``: how requests become matrices. NumPy alone; one function answers a call and a million rows.

    Attributes:
        FEATURE_NAMES: Matrix name -> the names of its columns, in order; or of blocks of columns.
        FEATURE_INPUTS: Feature name -> the request fields that it is made from (contributions are summed by them).
    """

    FEATURE_NAMES: Mapping[str, tuple[str, ...]]
    FEATURE_INPUTS: Mapping[str, tuple[str, ...]]

    def fit(
        self,
        columns: Columns,
        labels: Mapping[str, NDArray[np.float64]],
        reference: Mapping[str, NDArray[Any]],
        context: Mapping[str, Any],
    ) -> Arrays:
        """Learn encodings from training rows; by default nothing.

        Training calls it on folds, so that the rows it learned from are never the rows that it encodes; the final one,
        on all training rows, goes into the bundle.

        Args:
            columns: Request field -> (n,).
            labels: Target name -> float64 (n,), NaN where the row is not one of the target's.
            reference: What ``RawData.lookup_tables`` returned.
            context: What ``RawData.training_context`` returned.

        Returns:
            Arrays of any shape, stored in the bundle.
        """
        return {}

    def prepare(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Make what ``features`` needs from stored arrays, once for each loaded bundle; by default the arrays.

        Args:
            arrays: What ``fit`` and ``post_training_checks`` returned, arrays of any shape.
        """
        return arrays

    @abstractmethod
    def features(self, columns: Columns, fitted: Any, context: Mapping[str, Any]) -> Features:
        """Compute the matrices of n rows.

        Args:
            columns: Request field -> (n,).
            fitted: What ``prepare`` returned.
            context: What is known from outside: ``RawData.training_context``, or ``ContextSource.snapshot`` for calls.
        """

    def post_training_checks(
        self,
        columns: Columns,
        labels: Mapping[str, NDArray[np.float64]],
        values: Mapping[str, TargetPrediction],
        fitted: Any,
    ) -> Arrays:
        """Look at the finished model on rows that it did not learn from (the calibration slice); by default not at all.

        Args:
            columns: Request field -> (n,).
            labels: Target name -> float64 (n,), NaN where the row is not one of the target's.
            values: Target name -> calibrated predictions of the n rows.
            fitted: What ``prepare`` returned.

        Returns:
            Findings, stored in the bundle beside what ``fit`` learned, under names of their own.
        """
        return {}

    def drift_features(self, columns: Columns, fitted: Any) -> Mapping[str, NDArray[Any]]:
        """Derive the columns that ``UseCase.drift_features`` declares; needed only where it declares any.

        Args:
            columns: Request field -> (n,).
            fitted: What ``prepare`` returned, None where no model is.

        Returns:
            Each declared column -> (n,): float64 (missing is NaN), or objects of str (missing is "").
        """
        return {}

    def map_points(self, fitted: Any) -> Mapping[str, tuple[float, float]]:
        """Name places for maps that only a model knows: name -> (x, y) in the unit of ``MapSpec``; by default none."""
        return {}


class RawData(ABC):
    """``raw.py``: how official files become examples. pandas."""

    @abstractmethod
    def parse_table(self, table: str, frame: pd.DataFrame) -> ParsedTable:
        """Read canonical rows out of strings.

        Args:
            table: Name of the ``Table``.
            frame: Strings as they stand in the file (missing is ""), column names stripped, and ``line``, the line
                number in the file.
        """

    @abstractmethod
    def build_examples(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Make one row per example.

        Args:
            tables: Table name -> canonical rows of all files, merged by ``Table.key`` and without ``line``.

        Returns:
            The request's fields, the labels, the weights, the columns of subgroups, ``UseCase.group`` and
            ``event_time`` (UTC timestamps; absent without time).
        """

    def build_label_examples(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Add to reported calls (request fields and labels, a row each) what else examples hold; by default nothing."""
        return rows

    def lookup_tables(self, tables: Mapping[str, pd.DataFrame]) -> Arrays:
        """Make tables that ``fit`` needs besides the examples, such as stations or holidays; by default none.

        Args:
            tables: Table name -> canonical rows of all files.

        Returns:
            Name -> array of any shape.
        """
        return {}

    def training_context(self, tables: Mapping[str, pd.DataFrame]) -> Arrays:
        """Make the context of the training period, for example hourly weather; by default none.

        Args:
            tables: Table name -> canonical rows of all files.

        Returns:
            Name -> array of any shape, as ``ContextSource.snapshot`` holds it for calls.
        """
        return {}


class Simulator(ABC):
    """``simulator.py``: files in the official layout from a causal model.

    Attributes:
        MAX_ROWS_PER_DAY: Where more rows on a day would come from more places than models of simulated data know,
            exercises ask for no more than this.
    """

    MAX_ROWS_PER_DAY: int | None = None

    @abstractmethod
    def write(
        self, folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()
    ) -> list[Path]:
        """Write files and return their paths.

        Args:
            folder: Where the files go.
            seed: The same seed writes the same files.
            rows: About how many incidents.
            start: First day, ISO.
            days: How many days.
            drift: Changes of the world, by names that the simulator knows.
        """


class ContextSource(Protocol):
    """Keeps the context of the moment, and refreshes itself in the background between ``start`` and ``stop``.

    ``snapshot`` and ``warning`` are called for each prediction and answer from memory, at once.
    """

    def start(self) -> None:
        """Start to refresh the context in the background."""

    def stop(self) -> None:
        """End the refreshing."""

    def snapshot(self) -> Mapping[str, Any]:
        """Return the context of this moment: name -> array or value."""

    def warning(self) -> str | None:
        """Return a sentence for the answer's warnings where what is known is missing or stale, else None."""


class ContextModule(Protocol):
    """``context.py``, for use cases that need something from outside at call time."""

    def source(self, settings: Settings) -> ContextSource | None:
        """Return what keeps this use case's context, or None where its model needs nothing from outside."""


@cache
def load_hooks(base: type[Any], module: ModuleType, kind: str) -> Any:
    """A module's implementation of a base class.

    Args:
        base: ``FeatureSet``, ``RawData`` or ``Simulator``.
        module: The module of the use case.
        kind: The module's name in its package.

    Returns:
        An instance of the module's own subclass, or of one made of its functions; one per module.

    Raises:
        VigieError: the module lacks something that has no default.
    """
    names = vars(with_new_hooks(module, kind))
    own = [v for v in names.values() if isinstance(v, type) and issubclass(v, base) and v.__module__ == module.__name__]
    public = {name: value for name, value in names.items() if not name.startswith("_")}
    functions = {n: staticmethod(v) if callable(v) and not isinstance(v, type) else v for n, v in public.items()}
    functions["__module__"] = module.__name__
    implementation: Any = own[-1] if own else type(base.__name__, (base,), functions)
    constants = [name for name in base.__annotations__ if not hasattr(implementation, name)]
    if missing := sorted([*implementation.__abstractmethods__, *constants]):
        raise VigieError(
            f"{module.__name__} lacks {', '.join(missing)}.",
            expected=f"what services.core.contract.modules.{base.__name__} has no default for",
            action="See docs/add-a-use-case.md.",
        )
    return implementation()


def compute_drift_features(
    use_case: UseCase, columns: Mapping[str, NDArray[Any]], fitted: Any
) -> Mapping[str, NDArray[Any]]:
    """Compute the columns for drift that a use case declares.

    Args:
        use_case: The declaration.
        columns: Request field -> (n,).
        fitted: What ``FeatureSet.prepare`` returned, None where no model is.

    Returns:
        Each of ``UseCase.drift_features`` -> (n,): float64 (missing is NaN) or objects of str (missing is "").
    """
    if not use_case.serving.drift_features:
        return {}
    found = use_case.features.drift_features(columns, fitted)
    return {name: found[name] for name in use_case.serving.drift_features}


def drift_features_as_json(columns: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Convert columns for drift to rows as JSON holds them: None for missing.

    Args:
        columns: Name -> (n,).

    Returns:
        n objects: name -> value.
    """
    lists = [values.tolist() for values in columns.values()]
    return [dict(zip(columns, map(_json_value, row), strict=True)) for row in zip(*lists, strict=True)]


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    return value or None
