"""From raw outputs to a target's value: averages, and calibration parameters, stored as JSON and applied in NumPy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.core.contract.outputs import (
    BinaryPrediction,
    MultiClass,
    MultiClassPrediction,
    RegressionPrediction,
    TargetPrediction,
)


class RegressionCalibration(BaseModel):
    """Conformalised quantile regression (Romano, Patterson, Candès 2019), with a margin for each group.

    Attributes:
        kind: Tells the calibrations apart in JSON.
        by: The extra (see ``Features``) whose value is a row's group; None for one margin for all rows.
        groups: Group -> margin on both sides of the quantile boosters' interval, in the target's unit.
        otherwise: The margin of rows of other groups.
        shift: Added to the point prediction, in the target's unit.
        minimum: Smallest value that the target can have; value and interval are clipped to it.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Literal["quantity"] = "quantity"
    by: str | None = None
    groups: dict[str, float] = {}
    otherwise: float = 0.0
    shift: float = 0.0
    minimum: float | None = None

    def widen(self, facts: dict[str, Any], n: int) -> NDArray[np.float64]:
        """Return the margin that widens each row's interval on both sides.

        Args:
            facts: Extra -> (n,).
            n: How many rows there are.

        Returns:
            float64 (n,), in the target's unit.

        Raises:
            KeyError: the extra that groups are made by is not there.
        """
        if self.by is None or not self.groups:
            return np.full(n, self.otherwise)
        values = np.asarray(facts[self.by]).tolist()
        return np.array([self.groups.get(group_key(value), self.otherwise) for value in values])


class BinaryCalibration(BaseModel):
    """A monotone map of the mean raw probability, as points joined by straight lines.

    Attributes:
        kind: Tells the calibrations apart in JSON.
        x: Raw probabilities, ascending.
        y: The calibrated probability at each of them.
        threshold: Calibrated probability from which on the decision is positive, 0 to 1.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Literal["probability"] = "probability"
    x: list[float]
    y: list[float]
    threshold: float


class MultiClassCalibration(BaseModel):
    """Temperature and bias per class on the log of the mean probabilities (Guo et al. 2017).

    Attributes:
        kind: Tells the calibrations apart in JSON.
        temperature: The logarithms are divided by it; above 1 makes the model less sure.
        bias: Added to the logarithm of each of the k classes.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Literal["classes"] = "classes"
    temperature: float = 1.0
    bias: list[float]


class FusionWeights(BaseModel):
    """Weights that turn the scores of some experts into probabilities (Platt 1999, for several scores and classes).

    The probabilities are the softmax of each class's offset plus the sum of the scores, each times its slope.

    Attributes:
        slopes: Expert -> slope of its scores.
        offsets: One for each of the k classes.
    """

    model_config = ConfigDict(extra="forbid")
    slopes: dict[str, float]
    offsets: list[float]


class FusionCalibration(BaseModel):
    """Weights of a late fusion for each set of experts that can be present, and class shares where none is.

    Each set has weights of its own, since an expert alone is less sure than one among others.

    Attributes:
        kind: Tells the calibrations apart in JSON.
        subsets: Name of the set (see ``subset_name``) -> its weights.
        prior: Share of each of the k classes among the training rows.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Literal["fusion"] = "fusion"
    subsets: dict[str, FusionWeights]
    prior: list[float]


Calibration = RegressionCalibration | BinaryCalibration | MultiClassCalibration | FusionCalibration


def subset_name(experts: Iterable[str]) -> str:
    """Return the name by which ``FusionCalibration.subsets`` holds a set of experts.

    Args:
        experts: Their names, in the order of the declaration.

    Returns:
        The names joined by ``+``.
    """
    return "+".join(experts)


def group_key(value: Any) -> str:
    """Return the name of a group in JSON: whole numbers without a fraction.

    Args:
        value: A scalar of the extra that groups are made by.

    Returns:
        The key in ``RegressionCalibration.groups``.
    """
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


@dataclass(frozen=True, slots=True)
class LoadedTarget:
    """A target of a loaded bundle: which outputs it averages, and how they are calibrated."""

    name: str
    members: tuple[int, ...]  # positions among the outputs of ``OnnxEnsemble``, which those of the estimators follow
    lower: int | None
    upper: int | None
    calibration: Calibration
    output: Any
    left_out: tuple[tuple[int, int], ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]  # with x the calibration's points, or its bias


def mean_output(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Average raw outputs, float32 (n, 1) or (n, k), in float64."""
    total = outputs[0].astype(np.float64)
    for output in outputs[1:]:
        total += output
    return total / len(outputs) if len(outputs) > 1 else total


def mean_out_of_fold(
    outputs: Sequence[NDArray[np.float32]], left_out: Sequence[tuple[int, int]], parts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average, for each row, the outputs of the boosters that did not learn from it, in float64; NaN where all did.

    Args:
        outputs: One per booster, float32 (n, 1) or (n, k).
        left_out: Repetition and fold that each booster did not learn from.
        parts: Fold of each row in each repetition, int64 (repeats, n).
    """
    total = np.zeros(outputs[0].shape)
    count = np.zeros((len(total), *(1,) * (total.ndim - 1)))
    for output, (repeat, part) in zip(outputs, left_out, strict=True):
        rows = parts[repeat] == part
        total[rows] += output[rows]
        count[rows] += 1
    return total / count


def calibrated_value(
    target: LoadedTarget, raw: NDArray[np.float64], outputs: Sequence[NDArray[np.float32]], facts: dict[str, Any]
) -> TargetPrediction:
    """Return a target's calibrated values, float64 (n,) or (n, k).

    For one row every NumPy call counts, hence ``ufunc.reduce`` and no methods that wrap it.

    Args:
        target: Of a loaded bundle.
        raw: Its averaged outputs, float64 (n, 1) or (n, k).
        outputs: All boosters' outputs, float32 (n, 1) or (n, k) each, for the interval.
        facts: Extra -> (n,).
    """
    calibration = target.calibration
    if isinstance(calibration, RegressionCalibration):
        value = raw.reshape(-1) + calibration.shift
        low = raw if target.lower is None else outputs[target.lower]
        high = raw if target.upper is None else outputs[target.upper]
        widen = calibration.widen(facts, len(value))
        lower = np.minimum(low.reshape(-1) - widen, value)
        upper = np.maximum(high.reshape(-1) + widen, value)
        if calibration.minimum is not None:
            floor = calibration.minimum
            value, lower, upper = np.maximum(value, floor), np.maximum(lower, floor), np.maximum(upper, floor)
        return RegressionPrediction(value, lower, upper)
    if isinstance(calibration, BinaryCalibration):
        return BinaryPrediction(np.interp(raw[:, 1], target.x, target.y), calibration.threshold)
    assert isinstance(target.output, MultiClass)
    assert isinstance(calibration, MultiClassCalibration)
    logits = np.log(np.maximum(raw, 1e-12)) / calibration.temperature + target.y
    powers = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
    return MultiClassPrediction(powers / np.add.reduce(powers, axis=1, keepdims=True), target.output.labels)
