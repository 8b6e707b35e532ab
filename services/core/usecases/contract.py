"""The use-case contract: what a use case declares and everything else follows from.

Only pydantic and the standard library are imported here, because Airflow and the dashboard load
declarations too. A use case is one package below ``services.core.usecases`` with four modules:

``declaration``  the ``USE_CASE`` object of this contract
``features``     fitting and computing features, NumPy alone (see ``FeatureModule`` in ``modules``)
``raw``          reading official files and making examples, pandas (see ``RawModule``)
``simulator``    writing files in the official layout (see ``SimulatorModule``)
``context``      optional: what comes from outside at call time (see ``ContextModule``)

All but the first are imported on first use, never by the declaration.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, cast

from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from services.core.settings import Settings
    from services.core.usecases.modules import ContextModule, FeatureModule, RawModule, SimulatorModule

    Columns = Mapping[str, NDArray[Any]]
    """Request field -> one value per row. Numbers, flags, times and dates are float64 (times in seconds
    since 1970 UTC, dates as their midnight, missing is NaN); categories and text are object arrays of str
    (missing is "")."""

    Arrays = dict[str, NDArray[Any]]
    """Named arrays that can be stored without pickle: numbers, booleans and unicode strings."""
else:
    Columns, Arrays = Mapping, dict


class Text(NamedTuple):
    """A sentence or label for people, in both languages of the platform."""

    en: str
    fr: str


# --- what a model answers ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with an interval, for example seconds. ``interval_by`` names the fact (see
    ``Features``) whose groups get their own conformal correction. ``centred`` lets the calibration
    slice move the value by its residuals' centre: right for a median or a mean, wrong for a learner
    that stands between the two on purpose."""

    unit: str
    coverage: float = 0.90
    interval_by: str | None = None
    minimum: float | None = None
    centred: bool = True


@dataclass(frozen=True, slots=True)
class Probability:
    """A calibrated probability and a decision. The threshold minimises the stated costs on the
    calibration slice: what a missed positive costs against what a false alarm costs."""

    cost_of_miss: float
    cost_of_false_alarm: float


@dataclass(frozen=True, slots=True)
class Classes:
    """One of several classes with probabilities; labels of examples are indices into ``labels``."""

    labels: tuple[str, ...]


Output = Quantity | Probability | Classes


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """Scalars for one row, float64 arrays of shape (n,) for many."""

    value: Any
    lower: Any
    upper: Any


@dataclass(frozen=True, slots=True)
class ProbabilityValue:
    """``probability`` is a scalar for one row, a float64 array (n,) for many."""

    probability: Any
    threshold: float

    @property
    def decision(self) -> Any:
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True)
class ClassesValue:
    """``probabilities`` has shape (k,) for one row, (n, k) for many, in the order of ``labels``."""

    probabilities: Any
    labels: tuple[str, ...]


Value = QuantityValue | ProbabilityValue | ClassesValue


# --- how a target is learned --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Booster:
    """One XGBoost model. ``parameters`` go to ``xgboost.train`` as they are."""

    objective: str
    rounds: int
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Boosters whose predictions are averaged; ``lower`` and ``upper`` are the quantile boosters
    behind the interval of a ``Quantity``. ``search`` bounds the optional Optuna search: parameter
    -> (low, high)."""

    members: tuple[Booster, ...]
    lower: Booster | None = None
    upper: Booster | None = None
    search: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Split:
    """How examples are cut: ``time`` trains on the past, calibrates on the next slice and tests on
    the last; ``hash`` cuts by a hash of the group column. With ``within`` (an examples column) each
    of its values is cut on its own, for data that comes in separate periods.

    ``cross`` is for data too small for a test slice: repeated cross-validation, ``folds`` parts by a hash
    of the group, cut anew in each of ``repeats``. Every part gets boosters that learned from all others;
    together they are the model. A row is calibrated, tested and put through the gate by those boosters alone
    that did not learn from its group, and a group's part never changes, so champion and challenger are both
    judged on wholly unseen rows. ``fit`` gets no labels there, since its arrays are shared by all boosters."""

    kind: Literal["time", "hash", "cross"]
    calibrate: float = 0.10
    test: float = 0.10
    within: str | None = None
    folds: int = 5
    repeats: int = 2


@dataclass(frozen=True, slots=True)
class Guard:
    """A metric that a challenger must not worsen by more than ``limit`` (absolute)."""

    metric: str
    limit: float


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to predict. Its rows are the examples whose ``label`` column is not missing."""

    name: str
    title: Text
    label: str
    output: Output
    matrix: str
    learner: BoostedTrees
    metric: str
    guards: tuple[Guard, ...] = ()
    weight: str | None = None
    split: Split | None = None
    reported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """The same rows as a caller with less knowledge would send them, scored under ``name`` and,
    with a ``training_weight`` above zero, added to the training rows with that weight.

    ``apply`` gets columns and context and returns both, changed copies."""

    name: str
    target: str
    apply: Callable[[dict[str, Any], Mapping[str, Any]], tuple[dict[str, Any], Mapping[str, Any]]]
    training_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a target whose ``column`` (of the examples) holds ``value``, scored under ``name`` as well."""

    name: str
    target: str
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Metrics are also reported and guarded per value of this column of the examples."""

    column: str
    title: Text


# --- where data comes from ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of official file. A file belongs to the table when its header holds all ``marks``;
    it is refused when it then lacks one of ``required``. ``"a|b"`` means that either name will do.
    Rows of a newer file replace all older rows with the same ``key``; within a file the last row of
    a key wins unless ``several_rows``. ``optional`` tables may be absent.

    ``below_text`` is for files whose header stands below lines of text: it is looked for in the first so many
    lines, and what stands above it comes with every row, in the column ``above``. With ``file_names`` the
    file's name comes with every row, in the column ``file``, for publishers that say something there alone."""

    name: str
    marks: tuple[str, ...]
    required: tuple[str, ...]
    key: tuple[str, ...]
    several_rows: bool = False
    optional: bool = False
    below_text: int = 0
    file_names: bool = False


@dataclass(frozen=True, slots=True)
class OfficialFile:
    """A file that its publisher offers for download; ``sha256`` only where it never changes."""

    url: str
    title: str
    sha256: str | None = None


class Checked(NamedTuple):
    """Canonical rows (with the ``line`` they came from) and the refused ones."""

    rows: pd.DataFrame
    faults: pd.DataFrame
    """Columns ``line`` (int) and ``reason`` (str), one row per refused row."""


# --- what the modules of a use case offer -------------------------------------------------------


class Features(NamedTuple):
    """What the feature function returns for n rows."""

    matrices: dict[str, Any]
    """Matrix name -> float32 array (n, p), C-contiguous, missing as NaN, or a CSR matrix."""
    facts: dict[str, Any]
    """What the answer needs besides the models' outputs, one value per row: arrays (n,)."""


class ContextSource(Protocol):
    """Keeps the context of the moment. It refreshes itself in the background between ``start`` and
    ``stop``; the other two are called for each prediction and answer from memory, at once."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def snapshot(self) -> Mapping[str, Any]: ...

    def warning(self) -> str | None:
        """A sentence for the answer's warnings where what is known is missing or stale, else None."""


# --- the use case -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UseCase:
    """One declaration, from which ingestion, training, the gate, serving, drift, forms and DAGs follow."""

    name: str
    title: Text
    description: Text
    request: type[BaseModel]
    answer: type[BaseModel]
    targets: tuple[Target, ...]
    tables: tuple[Table, ...]
    official: tuple[OfficialFile, ...]
    group: str
    split: Split
    compose: Callable[[Mapping[str, Value], Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    """(values of one row by target, facts of one row, the request's fields) -> the answer's fields:
    the business rules. Runs on the request path."""
    baseline: Callable[[Mapping[str, Any]], tuple[dict[str, Value], dict[str, Any]]]
    """A request's fields -> values and facts without any model: what is answered when there is no
    bundle at all and what the first model has to beat. Must never fail on a valid request."""
    zone: str | None = None
    time_field: str | None = None
    variants: tuple[Variant, ...] = ()
    parts: tuple[Part, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    personal: Mapping[str, float | None] = field(default_factory=dict)
    """Fields that say where or whom, kept as pseudonyms on request: text -> None, a number -> its rounding step."""
    incident_is_group: bool = False
    """Whether centres call an incident as ``group`` does: then its official record takes an outcome's place."""
    package: str = ""

    def target(self, name: str) -> Target:
        for target in self.targets:
            if target.name == name:
                return target
        raise KeyError(f"{self.name} has no target {name!r}; it has {[t.name for t in self.targets]}")

    @property
    def features(self) -> FeatureModule:
        return cast("FeatureModule", self._module("features"))

    @property
    def raw(self) -> RawModule:
        return cast("RawModule", self._module("raw"))

    @property
    def simulator(self) -> SimulatorModule:
        return cast("SimulatorModule", self._module("simulator"))

    def context_source(self, settings: Settings) -> ContextSource | None:
        """A new source of what comes from outside at call time, if there is one."""
        if importlib.util.find_spec(self._path("context")) is None:
            return None
        return cast("ContextModule", self._module("context")).source(settings)

    def _module(self, name: str) -> Any:
        return importlib.import_module(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.package or f'services.core.usecases.{self.name}'}.{name}"
