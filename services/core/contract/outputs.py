"""Types of target (regression, binary, multi-class) and of the predictions for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_UNDECLARED = 1e9


@dataclass(frozen=True, slots=True)
class Regression:
    """A number with an interval, for example seconds.

    Attributes:
        unit: Unit of the number.
        coverage: Share of the truth that the interval is to cover, 0 to 1.
        interval_by: The extra (see ``Features``) whose groups get their own conformal correction.
        minimum: The least value that can be, in its unit.
        centred: Whether the calibration slice moves the value by its residuals' centre: right for a median or a mean,
            wrong for a learner that stands between the two on purpose.
        objective: What the value is held against, in its unit, where people have set themselves one.
        maximum: The largest value that can be, in its unit. What is reported beyond the bounds is refused.
    """

    unit: str
    coverage: float = 0.90
    interval_by: str | None = None
    minimum: float | None = None
    centred: bool = True
    objective: float | None = None
    maximum: float | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value that can be; without a declaration what any learner can hold."""
        low = -_UNDECLARED if self.minimum is None else self.minimum
        return low, _UNDECLARED if self.maximum is None else self.maximum


@dataclass(frozen=True, slots=True)
class BinaryClassification:
    """A calibrated probability and a decision.

    The threshold minimises the stated costs on the calibration slice.

    Attributes:
        cost_of_miss: What a missed positive costs.
        cost_of_false_alarm: What a false alarm costs, in the same unit.
    """

    cost_of_miss: float
    cost_of_false_alarm: float


@dataclass(frozen=True, slots=True)
class MultiClass:
    """One of several classes with probabilities.

    Labels of examples are indices into ``labels``. Without labels the classes are learned: the examples' label column
    holds their names (missing is blank), the bundle keeps the names that its training rows had, and a class that a
    model has never seen has probability 0.

    Attributes:
        labels: Names of the classes, in the order of the probabilities.
    """

    labels: tuple[str, ...] = ()

    @property
    def learned(self) -> bool:
        """Whether the classes are learned from data."""
        return not self.labels


Output = Regression | BinaryClassification | MultiClass


def unit_of(output: Output) -> str:
    """Return the unit of what a target predicts."""
    return output.unit if isinstance(output, Regression) else "probability"


def describe_value(output: Output, value: Any) -> str:
    """Return how people read a label of a target, with its unit or its class's name."""
    if isinstance(output, BinaryClassification):
        return f"{value:g} ({'yes' if value else 'no'})"
    if isinstance(output, MultiClass):
        return repr(output.labels[int(value)] if output.labels and not isinstance(value, str) else str(value))
    return f"{value:g} {output.unit}".strip()


@dataclass(frozen=True, slots=True)
class RegressionPrediction:
    """A number and its interval, in the target's unit.

    Attributes:
        value: A scalar for one row, float64 (n,) for many.
        lower: Lower end of the interval, shaped as ``value``.
        upper: Upper end of the interval, shaped as ``value``.
    """

    value: Any
    lower: Any
    upper: Any


@dataclass(frozen=True, slots=True)
class BinaryPrediction:
    """A probability and the threshold above which it decides.

    Attributes:
        probability: A scalar for one row, float64 (n,) for many.
        threshold: 0 to 1.
    """

    probability: Any
    threshold: float

    @property
    def decision(self) -> Any:
        """Whether the probability reaches the threshold, shaped as ``probability``."""
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True)
class MultiClassPrediction:
    """Probabilities of the classes.

    Attributes:
        probabilities: (k,) for one row, (n, k) for many, float64, in the order of ``labels``.
        labels: Names of the k classes.
    """

    probabilities: Any
    labels: tuple[str, ...]
    names: Mapping[str, str] | None = None


TargetPrediction = RegressionPrediction | BinaryPrediction | MultiClassPrediction
