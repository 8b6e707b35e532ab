"""Live quality: the metrics of training on calls whose outcome is known, with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from services.core.scoring.answers import take
from services.core.scoring.metrics import Metric, metric_of, metrics_of
from services.core.usecases.contract import Target, Value
from services.drift.losses import expected_losses, loss_name, losses

Floats = NDArray[np.float64]
RESAMPLES = 300
CONFIDENCE = 0.95
_FEW_DAYS = 10


@dataclass(frozen=True, slots=True)
class Answered:
    """One target's answers to calls whose outcome is known."""

    target: Target
    label: Floats
    value: Value
    day: NDArray[np.int64]

    def at(self, rows: NDArray[Any]) -> Answered:
        return Answered(self.target, self.label[rows], take(self.value, rows), self.day[rows])


def interval(item: Answered, metric: Metric, seed: int) -> tuple[float, float, float]:
    """The metric with its 95 % interval. Days are drawn where there are ten, else calls: a Poisson weight each."""
    value = metric.value(item.target, item.label, item.value)
    generator = np.random.default_rng(seed)
    _, day = np.unique(item.day, return_inverse=True)
    unit = day if int(day.max()) + 1 >= _FEW_DAYS else np.arange(len(item.label))
    weights = generator.poisson(1.0, (RESAMPLES, int(unit.max()) + 1)).astype(np.float64)
    if metric.row_terms is not None and metric.of_sums is not None:
        terms = metric.row_terms(item.target, item.label, item.value)
        sums = np.stack([np.bincount(unit, weights=column, minlength=weights.shape[1]) for column in terms.T], axis=1)
        drawn = metric.of_sums(weights @ sums)
    else:
        assert metric.of_weights is not None
        drawn = metric.of_weights(item.label, item.value, weights[:, unit])
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return value, float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return value, float(low), float(high)


def reported(item: Answered, seed: int) -> list[dict[str, Any]]:
    """All that the target can be measured by, calibration and coverage among it."""
    made = []
    for name, metric in metrics_of(item.target).items():
        value, low, high = interval(item, metric, seed)
        if np.isfinite(value):
            made.append({"metric": name, **_numbers(value, low, high), "count": len(item.label)})
    return made


def deciding(item: Answered, seed: int) -> dict[str, Any] | None:
    """The mean loss alone, for groups of calls."""
    name = loss_name(item.target)
    value, low, high = interval(item, metric_of(item.target, name), seed)
    return {"metric": name, **_numbers(value, low, high), "count": len(item.label)} if np.isfinite(value) else None


def estimate(
    target: Target, without: Value, *, frozen: Value, frozen_label: Floats, known: Answered | None, significance: float
) -> dict[str, Any]:
    """What the error is likely to be on calls of which nothing is known yet, from what the answers say about
    themselves; checked on the calls whose outcome is known. The ``frozen`` rows whose label (n,) is known give the
    factor between said and true, all of them the reference: a label may be missing because the target does not
    apply, and answers to such calls are less sure than others. ``surely_above``: whether chance (``significance``) is
    ruled out as the reason for a value above the reference."""
    labelled = ~np.isnan(frozen_label)
    true = float(losses(frozen_label[labelled], take(frozen, np.flatnonzero(labelled))).mean())
    usual = expected_losses(frozen)
    said = float(usual[labelled].mean())
    factor = true / said if said > 0 else 1.0
    expected = expected_losses(without)
    made: dict[str, Any] = {
        "target": target.name,
        "metric": loss_name(target),
        "value": _round(float(expected.mean() * factor)) if len(expected) else None,
        "count": len(expected),
        "reference": _round(float(usual.mean() * factor)),
        "surely_above": _above(expected, usual, significance),
        "estimated": True,
    }
    if known is not None and len(known.label):
        made["checked"] = {
            "estimate": _round(float(expected_losses(known.value).mean() * factor)),
            "truth": _round(float(np.nanmean(losses(known.label, known.value)))),
            "count": len(known.label),
        }
    return made


def _above(values: Floats, usual: Floats, significance: float) -> bool:
    """Whether the mean is surely higher: Welch's statistic, one side, in numbers of calls where it is normal."""
    if len(values) < 2 or len(usual) < 2:
        return False
    error = float(np.sqrt(values.var(ddof=1) / len(values) + usual.var(ddof=1) / len(usual)))
    return float(values.mean() - usual.mean()) > float(stats.norm.isf(significance)) * error


def duel(new: Answered, old: Answered, seed: int) -> dict[str, Any]:
    """Two versions on the same calls: mean losses, and the interval of how much less the new one loses."""
    difference = losses(old.label, old.value) - losses(new.label, new.value)
    generator = np.random.default_rng(seed)
    _, day = np.unique(new.day, return_inverse=True)
    unit = day if int(day.max()) + 1 >= _FEW_DAYS else np.arange(len(difference))
    sums = np.bincount(unit, weights=difference)
    sizes = np.bincount(unit).astype(np.float64)
    weights = generator.poisson(1.0, (2_000, len(sums)))
    drawn = (weights @ sums) / np.maximum(weights @ sizes, 1)
    low, high = np.quantile(drawn, [0.01, 0.99])
    return {
        "target": new.target.name,
        "metric": loss_name(new.target),
        "new": _round(float(np.mean(losses(new.label, new.value)))),
        "old": _round(float(np.mean(losses(old.label, old.value)))),
        "gain": _round(float(difference.mean())),
        "low": _round(float(low)),
        "high": _round(float(high)),
        "count": len(difference),
    }


def _numbers(value: float, low: float, high: float) -> Mapping[str, float | None]:
    return {"value": _round(value), "low": _round(low), "high": _round(high)}


def _round(value: float) -> float | None:
    """Six significant digits; what is not finite becomes null, as JSON has none."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
