"""The metrics of each kind of output, defined once for all rows, subgroups and bootstrap resamples.

A metric is a function of sums over rows, so that its value for all rows, for every subgroup and for every bootstrap
resample is the same formula on different sums. Ranking metrics have no such sums and take row weights instead. Tests
hold every one against scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    Regression,
    RegressionPrediction,
    Target,
    TargetPrediction,
)

Floats = NDArray[np.float64]

ECE_BINS = 15
"""Expected calibration error: bins of equal mass by predicted probability."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: a function of sums over rows, or, where it ranks, of the rows' weights. Undefined is NaN.

    Attributes:
        name: As reports call it.
        better: Which direction is better; ``near`` is nearer to ``aim``.
        row_terms: Target, labels float64 (n,) and predictions -> what is summed over rows, float64 (n, s).
        of_sums: Sums of the terms, float64 (..., s), -> values (...).
        of_weights: Labels (n,), predictions and row weights, float64 (b, n), -> values (b,).
        undefined: Why it can be undefined.
        aim: What a metric of which ``near`` is better should be.
    """

    name: str
    better: Literal["lower", "higher", "near"]
    row_terms: Callable[[Target, Floats, Any], Floats] | None = None
    of_sums: Callable[[Floats], Floats] | None = None
    of_weights: Callable[[Floats, Any, Floats], Floats] | None = None
    undefined: str = "there are no rows"
    aim: float = 0.0

    def value(self, target: Target, label: Floats, value: TargetPrediction) -> float:
        """Compute the metric over all rows.

        Args:
            target: The target, whose output has the costs of wrong decisions.
            label: Labels, float64 (n,); classes are their places among the value's.
            value: Predictions of the same n rows.

        Returns:
            The metric; NaN where it is not defined for these rows.
        """
        if self.row_terms is not None and self.of_sums is not None:
            return float(self.of_sums(self.row_terms(target, label, value).sum(axis=0)))
        assert self.of_weights is not None
        return float(self.of_weights(label, value, np.ones((1, len(label))))[0])

    def gain(self, new: Any, old: Any) -> Any:
        """Compute how much better a value is than another, positive for better, in the metric's unit.

        Args:
            new: Scalar or array of any shape.
            old: What to compare with, shaped alike.
        """
        if self.better == "near":
            return np.abs(old - self.aim) - np.abs(new - self.aim)
        return old - new if self.better == "lower" else new - old


# --- quantities: sums of (1, error terms, y, y squared) --------------------------------------------


def _regression_terms(_target: Target, label: Floats, value: RegressionPrediction) -> Floats:
    error = value.value - label
    covered = (label >= value.lower) & (label <= value.upper)
    width = np.asarray(value.upper) - np.asarray(value.lower)
    return np.column_stack([np.ones_like(label), np.abs(error), error**2, label, label**2, covered, width])


def _mean(column: int) -> Callable[[Floats], Floats]:
    return lambda sums: _ratio(sums[..., column], sums[..., 0])


def _rmse(sums: Floats) -> Floats:
    return np.sqrt(_ratio(sums[..., 2], sums[..., 0]))


def _r2(sums: Floats) -> Floats:
    spread = sums[..., 4] - _ratio(sums[..., 3] ** 2, sums[..., 0])
    return 1 - _ratio(sums[..., 2], np.where(spread > 1e-9 * np.abs(sums[..., 4]), spread, np.nan))


# --- probabilities ---------------------------------------------------------------------------------


def _loss_terms(_target: Target, label: Floats, value: BinaryPrediction) -> Floats:
    p = np.clip(value.probability, 1e-15, 1 - 1e-15)
    log_loss = -(label * np.log(p) + (1 - label) * np.log1p(-p))
    return np.column_stack([np.ones_like(label), (value.probability - label) ** 2, log_loss])


def _decision_terms(target: Target, label: Floats, value: BinaryPrediction) -> Floats:
    """Sums: true positives, false positives, false negatives, true negatives, cost."""
    said, true = np.asarray(value.decision), label > 0.5
    miss, alarm = ~said & true, said & ~true
    output = target.output
    cost = miss * getattr(output, "cost_of_miss", 1.0) + alarm * getattr(output, "cost_of_false_alarm", 1.0)
    return np.column_stack([said & true, alarm, miss, ~said & ~true, cost]).astype(np.float64)


def _precision(s: Floats) -> Floats:
    return _ratio(s[..., 0], s[..., 0] + s[..., 1])


def _recall(s: Floats) -> Floats:
    return _ratio(s[..., 0], s[..., 0] + s[..., 2])


def _f1(s: Floats) -> Floats:
    return _ratio(2 * s[..., 0], 2 * s[..., 0] + s[..., 1] + s[..., 2])


def _f1_weighted(s: Floats) -> Floats:
    positive = _ratio(2 * s[..., 0], 2 * s[..., 0] + s[..., 1] + s[..., 2], 0.0)
    negative = _ratio(2 * s[..., 3], 2 * s[..., 3] + s[..., 1] + s[..., 2], 0.0)
    positives, negatives = s[..., 0] + s[..., 2], s[..., 1] + s[..., 3]
    return _ratio(positives * positive + negatives * negative, positives + negatives)


def _decision_accuracy(s: Floats) -> Floats:
    return _ratio(s[..., 0] + s[..., 3], s[..., :4].sum(axis=-1))


def _cost(s: Floats) -> Floats:
    return _ratio(s[..., 4], s[..., :4].sum(axis=-1))


def _calibration_terms(_target: Target, label: Floats, value: BinaryPrediction) -> Floats:
    """Columns of p - y, one per bin, then the count; bins are fixed by all predictions, and equal ones share one."""
    probability = np.asarray(value.probability)
    bins = np.searchsorted(np.sort(probability), probability) * ECE_BINS // max(len(label), 1)
    terms = np.zeros((len(label), ECE_BINS + 1))
    terms[np.arange(len(label)), bins] = value.probability - label
    terms[:, -1] = 1
    return terms


def _ece(sums: Floats) -> Floats:
    return _ratio(np.abs(sums[..., :-1]).sum(axis=-1), sums[..., -1])


def _roc_auc(label: Floats, value: BinaryPrediction, weights: Floats) -> Floats:
    """Chance that a positive row ranks above a negative one, ties counting half."""
    starts, order = _tie_groups(np.asarray(value.probability))
    true = (label > 0.5)[order]
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * true, starts, axis=1)
    negative = np.add.reduceat(ordered * ~true, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    return _ratio((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


def _pr_auc(label: Floats, value: BinaryPrediction, weights: Floats) -> Floats:
    """Average precision: precision at each threshold, weighted by the recall it adds."""
    starts, order = _tie_groups(-np.asarray(value.probability))
    true = (label > 0.5)[order]
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * true, starts, axis=1)
    every = np.add.reduceat(ordered, starts, axis=1)
    precision = _ratio(np.cumsum(positive, axis=1), np.cumsum(every, axis=1), 0.0)
    return _ratio((positive * precision).sum(axis=1), positive.sum(axis=1))


def _tie_groups(score: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each run of equal scores starts, in the order of the scores."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])), order


# --- classes: the confusion matrix, flat, as sums --------------------------------------------------


def _class_loss_terms(_target: Target, label: Floats, value: MultiClassPrediction) -> Floats:
    chance = np.asarray(value.probabilities)[np.arange(len(label)), label.astype(np.int64)]
    return np.column_stack([np.ones_like(label), -np.log(np.clip(chance, 1e-15, 1))])


def _confusion_terms(_target: Target, label: Floats, value: MultiClassPrediction) -> Floats:
    width = len(value.labels)
    said = np.asarray(value.probabilities).argmax(axis=1)
    terms = np.zeros((len(label), width * width))
    terms[np.arange(len(label)), label.astype(np.int64) * width + said] = 1
    return terms


def _confusion(sums: Floats) -> Floats:
    width = round(sums.shape[-1] ** 0.5)
    return sums.reshape(*sums.shape[:-1], width, width)


def _class_accuracy(sums: Floats) -> Floats:
    return _ratio(np.trace(_confusion(sums), axis1=-2, axis2=-1), sums.sum(axis=-1))


def _class_f1(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """F1, rows and answers of each class."""
    matrix = _confusion(sums)
    hits, rows, answers = np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1), matrix.sum(axis=-2)
    return _ratio(2 * hits, rows + answers, 0.0), rows, answers


def _class_f1_weighted(sums: Floats) -> Floats:
    f1, rows, _ = _class_f1(sums)
    return _ratio((f1 * rows).sum(axis=-1), rows.sum(axis=-1))


def _class_f1_macro(sums: Floats) -> Floats:
    """Over the classes that occur, in truth or in answers."""
    f1, rows, answers = _class_f1(sums)
    return _ratio(f1.sum(axis=-1), (rows + answers > 0).sum(axis=-1))


def _ratio(top: Any, bottom: Any, otherwise: float = np.nan) -> Any:
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    out = np.full(np.broadcast_shapes(top.shape, bottom.shape), otherwise)
    return np.divide(top, bottom, out=out, where=bottom != 0)


_ONE_CLASS = "all rows have the same outcome"
_NO_POSITIVE = "no row is positive, in truth or in the decision"

_REGRESSION_METRICS = (
    Metric("mae", "lower", _regression_terms, _mean(1)),
    Metric("rmse", "lower", _regression_terms, _rmse),
    Metric("r2", "higher", _regression_terms, _r2, undefined="all outcomes are equal"),
    Metric("mean_width", "lower", _regression_terms, _mean(6)),
)
_BINARY_METRICS = (
    Metric("roc_auc", "higher", of_weights=_roc_auc, undefined=_ONE_CLASS),
    Metric("pr_auc", "higher", of_weights=_pr_auc, undefined="no row is positive"),
    Metric("brier", "lower", _loss_terms, _mean(1)),
    Metric("log_loss", "lower", _loss_terms, _mean(2)),
    Metric("ece", "lower", _calibration_terms, _ece),
    Metric("f1", "higher", _decision_terms, _f1, undefined=_NO_POSITIVE),
    Metric("f1_weighted", "higher", _decision_terms, _f1_weighted),
    Metric("precision", "higher", _decision_terms, _precision, undefined="no row was decided positive"),
    Metric("recall", "higher", _decision_terms, _recall, undefined="no row is positive"),
    Metric("accuracy", "higher", _decision_terms, _decision_accuracy),
    Metric("cost", "lower", _decision_terms, _cost),
)
_MULTI_CLASS_METRICS = (
    Metric("accuracy", "higher", _confusion_terms, _class_accuracy),
    Metric("f1_weighted", "higher", _confusion_terms, _class_f1_weighted),
    Metric("f1_macro", "higher", _confusion_terms, _class_f1_macro),
    Metric("log_loss", "lower", _class_loss_terms, _mean(1)),
)


def metrics_of(target: Target) -> dict[str, Metric]:
    """Return the metrics that a target of this kind can have, by name.

    The coverage of a 90 % interval is called ``coverage_90`` and is better the nearer it is to 0.90.
    """
    output = target.output
    if isinstance(output, Regression):
        coverage = Metric(coverage_name(output), "near", _regression_terms, _mean(5), aim=output.coverage)
        return {metric.name: metric for metric in (*_REGRESSION_METRICS, coverage)}
    if hasattr(output, "cost_of_miss"):
        return {metric.name: metric for metric in _BINARY_METRICS}
    return {metric.name: metric for metric in _MULTI_CLASS_METRICS}


def coverage_name(output: Regression) -> str:
    """Return the name of an interval's coverage among the metrics, for example ``coverage_90``."""
    return f"coverage_{round(output.coverage * 100)}"


def metric_of(target: Target, name: str) -> Metric:
    """Return one of the metrics that a target can have.

    Raises:
        KeyError: it has no metric of this name.
    """
    known = metrics_of(target)
    if name not in known:
        raise KeyError(f"{target.name} has no metric {name!r}; it can have {sorted(known)}")
    return known[name]
