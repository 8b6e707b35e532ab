"""Types of target (regression, binary, multi-class) and of the predictions for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Regression:
    """A number with an interval, for example seconds. ``interval_by`` names the fact (see
    ``Features``) whose groups get their own conformal correction. ``centred`` lets the calibration
    slice move the value by its residuals' centre: right for a median or a mean, wrong for a learner
    that stands between the two on purpose."""

    unit: str
    coverage: float = 0.90
    interval_by: str | None = None
    minimum: float | None = None
    centred: bool = True
    objective: float | None = None
    """What the value is held against, in its unit, where people have set themselves one."""


@dataclass(frozen=True, slots=True)
class BinaryClassification:
    """A calibrated probability and a decision. The threshold minimises the stated costs on the
    calibration slice: what a missed positive costs against what a false alarm costs."""

    cost_of_miss: float
    cost_of_false_alarm: float


@dataclass(frozen=True, slots=True)
class MultiClass:
    """One of several classes with probabilities; labels of examples are indices into ``labels``.

    Without labels the classes are learned: the examples' label column holds their names (missing is blank), the
    bundle keeps the names that its training rows had, and a class that a model has never seen has probability 0."""

    labels: tuple[str, ...] = ()

    @property
    def learned(self) -> bool:
        return not self.labels


Output = Regression | BinaryClassification | MultiClass


def unit_of(output: Output) -> str:
    return output.unit if isinstance(output, Regression) else "probability"


@dataclass(frozen=True, slots=True)
class RegressionPrediction:
    """Scalars for one row, float64 arrays of shape (n,) for many."""

    value: Any
    lower: Any
    upper: Any


@dataclass(frozen=True, slots=True)
class BinaryPrediction:
    """``probability`` is a scalar for one row, a float64 array (n,) for many."""

    probability: Any
    threshold: float

    @property
    def decision(self) -> Any:
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True)
class MultiClassPrediction:
    """``probabilities`` has shape (k,) for one row, (n, k) for many, in the order of ``labels``."""

    probabilities: Any
    labels: tuple[str, ...]
    names: Mapping[str, str] | None = None
    """Label -> what people call the class, where labels are codes."""


TargetPrediction = RegressionPrediction | BinaryPrediction | MultiClassPrediction
