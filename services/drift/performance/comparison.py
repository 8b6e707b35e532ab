"""Live metrics with confidence intervals, estimated performance without labels, and paired comparisons of versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from services.core.contract.use_case import Target, TargetPrediction, UseCase
from services.core.messages import Message
from services.core.model_registry.version import RegisteredVersion, Tag
from services.core.params import Monitoring
from services.core.scoring.metrics import Metric, metric_of, metrics_of
from services.core.scoring.scored_predictions import align_labels, take_rows
from services.drift.models import ModelVersions
from services.drift.performance.degradation import loss_cap
from services.drift.reasons import Reason, loss_title
from services.drift.statistics import estimated_loss, loss_name, row_losses
from services.drift.verdict import MonitoringResult
from services.drift.window import day_numbers

Floats = NDArray[np.float64]
RESAMPLES = 300
CONFIDENCE = 0.95
_MIN_DAYS = 10


@dataclass(frozen=True, slots=True)
class LabelledPredictions:
    """One target's predictions of n calls with a label: ``label`` (n,) float64, ``day`` (n,) int64, days since 1970."""

    target: Target
    label: Floats
    value: TargetPrediction
    day: NDArray[np.int64]

    def at(self, rows: NDArray[Any]) -> LabelledPredictions:
        """The predictions of some rows: indices (k,) or a mask (n,)."""
        return LabelledPredictions(self.target, self.label[rows], take_rows(self.value, rows), self.day[rows])


def metric_interval(item: LabelledPredictions, metric: Metric, seed: int) -> tuple[float, float, float]:
    """The metric with its 95 % interval, by a Poisson bootstrap of days (of calls where there are fewer than ten days).

    Args:
        item: predictions of n calls, at least one.
        metric: computed for each resample.
        seed: of the resamples.

    Returns:
        Value, lower and upper end, in the metric's unit, with the value between them; NaN ends where no resample has a
        value.

    Source: N. Chamandy et al., Estimating uncertainty for massive data streams, Google Research 2012.
    """
    value = metric.value(item.target, item.label, item.value)
    generator = np.random.default_rng(seed)
    _, day = np.unique(item.day, return_inverse=True)
    unit = day if int(day.max()) + 1 >= _MIN_DAYS else np.arange(len(item.label))
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
    low, middle, high = np.quantile(known, [(1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2])
    # Resamples of a calibration error lie above it: the resampled calls differ more from their probabilities than the
    # calls themselves. The interval is moved by that bias and then contains its value.
    least = 0.0 if known.min() >= 0 else -np.inf
    return value, max(float(low + value - middle), least), float(high + value - middle)


def live_metrics(item: LabelledPredictions, seed: int) -> list[dict[str, Any]]:
    """All metrics of the target on n labelled calls, with their intervals; calibration and coverage among them."""
    made = []
    for name, metric in metrics_of(item.target).items():
        value, low, high = metric_interval(item, metric, seed)
        if np.isfinite(value):
            made.append({"metric": name, **_interval_fields(value, low, high), "count": len(item.label)})
    return made


def live_loss(item: LabelledPredictions, seed: int) -> dict[str, Any] | None:
    """The mean loss with its interval, for segments of calls; None where it is not finite."""
    name = loss_name(item.target)
    value, low, high = metric_interval(item, metric_of(item.target, name), seed)
    return (
        {"metric": name, **_interval_fields(value, low, high), "count": len(item.label)} if np.isfinite(value) else None
    )


def estimated_performance(
    target: Target,
    without: TargetPrediction,
    *,
    frozen: TargetPrediction,
    frozen_label: Floats,
    known: LabelledPredictions | None,
    significance: float,
) -> dict[str, Any]:
    """Estimate the error on calls without a label from the uncertainty of the predictions.

    Args:
        target: which output.
        without: predictions of the calls without an outcome.
        frozen: predictions of the n rows of the test set, which are the reference: all of them, because a label may be
            missing where the target does not apply, and predictions of such calls are less sure than others.
        frozen_label: outcomes of the test set (n,), float64, NaN where unknown. Where known they give the factor
            between expected and true loss.
        known: the calls with an outcome, on which the estimate is checked.
        significance: of ``surely_above``, whether chance is ruled out as the reason for a value above the reference.

    Returns:
        The entry of the run's summary; losses in the target's unit, or as ``brier`` and ``log_loss`` have them.
    """
    labelled = ~np.isnan(frozen_label)
    true = float(row_losses(frozen_label[labelled], take_rows(frozen, np.flatnonzero(labelled))).mean())
    usual = estimated_loss(frozen)
    said = float(usual[labelled].mean())
    factor = true / said if said > 0 else 1.0
    expected = estimated_loss(without)
    made: dict[str, Any] = {
        "target": target.name,
        "metric": loss_name(target),
        "value": _significant_digits(float(expected.mean() * factor)) if len(expected) else None,
        "count": len(expected),
        "reference": _significant_digits(float(usual.mean() * factor)),
        "surely_above": _significantly_higher(expected, usual, significance),
        "estimated": True,
    }
    if known is not None and len(known.label):
        made["checked"] = {
            "estimate": _significant_digits(float(estimated_loss(known.value).mean() * factor)),
            "truth": _significant_digits(float(np.nanmean(row_losses(known.label, known.value)))),
            "count": len(known.label),
        }
    return made


def _significantly_higher(values: Floats, usual: Floats, significance: float) -> bool:
    """Whether the mean is surely higher: one-sided z-test with unequal variances (Welch), for large samples."""
    if len(values) < 2 or len(usual) < 2:
        return False
    error = float(np.sqrt(values.var(ddof=1) / len(values) + usual.var(ddof=1) / len(usual)))
    return float(values.mean() - usual.mean()) > float(stats.norm.isf(significance)) * error


def paired_comparison(new: LabelledPredictions, old: LabelledPredictions, seed: int) -> dict[str, Any]:
    """Mean losses of two versions on the same n calls, and the 98 % interval of the difference, by bootstrap of days.

    Losses of absurd outcomes are capped, see ``loss_cap``.

    Args:
        new: predictions of the newer version.
        old: predictions of the older version, of the same calls in the same order.
        seed: of the resamples.

    Returns:
        ``new``, ``old``, ``gain`` (old less new) with ``low`` and ``high``, in the loss's unit, and ``count``.
    """
    ours, theirs = row_losses(new.label, new.value), row_losses(old.label, old.value)
    common = np.minimum(ours, theirs)  # an absurd outcome is one by both versions
    cap = loss_cap(common[common <= np.quantile(common, 0.95)], np.maximum(ours, theirs))
    ours, theirs = np.minimum(ours, cap), np.minimum(theirs, cap)
    difference = theirs - ours
    generator = np.random.default_rng(seed)
    _, day = np.unique(new.day, return_inverse=True)
    unit = day if int(day.max()) + 1 >= _MIN_DAYS else np.arange(len(difference))
    sums = np.bincount(unit, weights=difference)
    sizes = np.bincount(unit).astype(np.float64)
    weights = generator.poisson(1.0, (2_000, len(sums)))
    drawn = (weights @ sums) / np.maximum(weights @ sizes, 1)
    low, high = np.quantile(drawn, [0.01, 0.99])
    return {
        "target": new.target.name,
        "metric": loss_name(new.target),
        "new": _significant_digits(float(ours.mean())),
        "old": _significant_digits(float(theirs.mean())),
        "gain": _significant_digits(float(difference.mean())),
        "low": _significant_digits(float(low)),
        "high": _significant_digits(float(high)),
        "count": len(difference),
    }


def _interval_fields(value: float, low: float, high: float) -> Mapping[str, float | None]:
    return {"value": _significant_digits(value), "low": _significant_digits(low), "high": _significant_digits(high)}


def _significant_digits(value: float) -> float | None:
    """Six significant digits; what is not finite becomes null, as JSON has none."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


_OTHER_TARGETS_FACTOR = 3.0
"""A target that does not decide has to be so many times the limit worse to bring a model down."""


def compare_on_traffic(
    use_case: UseCase,
    models: ModelVersions,
    calls: pd.DataFrame,
    *,
    new: RegisteredVersion,
    old: RegisteredVersion,
    params: Monitoring,
) -> list[dict[str, Any]]:
    """Compare two versions offline on the same calls, each target by its loss.

    Both predict here, off the request path. Empty where a bundle cannot be loaded or there are no calls.
    """
    ours, theirs = models.predictor(new), models.predictor(old)
    if ours is None or theirs is None or calls.empty:
        return []
    one, other = models.predict(ours, calls), models.predict(theirs, calls)
    day, made = day_numbers(calls), []
    for target in use_case.modelling.targets:
        known = np.flatnonzero(calls[target.label].notna())
        if len(known) < params.segment_rows:
            continue
        matched = [align_labels(calls[target.label], prediction.values[target.name]) for prediction in (one, other)]
        sides = [
            LabelledPredictions(target, label[known], take_rows(value, known), day[known]) for label, value in matched
        ]
        made.append(paired_comparison(sides[0], sides[1], params.seed))
    return made


def compare_challenger(
    look: MonitoringResult,
    use_case: UseCase,
    window: pd.DataFrame,
    models: ModelVersions,
    *,
    champion: RegisteredVersion,
    params: Monitoring,
) -> None:
    """Compare the challenger with the champion on the calls since its training; the result goes into ``look``."""
    challenger = models.challenger()
    if challenger is not None:
        fresh = window[window["call_received_at"] > pd.Timestamp(challenger.created)]
        duel = compare_on_traffic(use_case, models, fresh, new=challenger, old=champion, params=params)
        look.shadow["challenger"] = {"version": challenger.number, "targets": duel}


def regressed_from_previous(
    look: MonitoringResult,
    use_case: UseCase,
    window: pd.DataFrame,
    models: ModelVersions,
    *,
    champion: RegisteredVersion,
    params: Monitoring,
) -> Reason | None:
    """Compare the champion with its predecessor on calls since the promotion; the result goes into ``look``.

    Returns:
        Why the champion should be rolled back; None where it should not.
    """
    promoted, old = champion.tags.get(Tag.PROMOTED, ""), models.before(champion)
    if old is None or not promoted or champion.tags.get(Tag.ROLLED_BACK) or old.tags.get(Tag.ROLLED_BACK):
        return None
    since = pd.Timestamp(promoted)
    if since < pd.Timestamp(datetime.now(UTC) - timedelta(days=params.watch_days)):
        return None
    mine = (window["call_received_at"] > since) & (window["call_version"] == str(champion.number))
    duel = compare_on_traffic(use_case, models, window[mine], new=champion, old=old, params=params)
    look.shadow["previous"] = {"version": old.number, "since": since.isoformat(), "targets": duel}
    for place, entry in enumerate(duel):
        limit = params.rollback_limit * (1.0 if place == 0 else _OTHER_TARGETS_FACTOR)
        enough = entry["count"] >= params.minimum_outcomes
        if enough and entry["high"] < 0 and entry["new"] > entry["old"] * (1 + limit):
            values = {
                "count": entry["count"],
                "loss": loss_title(entry["metric"]),
                "target": use_case.target(entry["target"]).title,
                "new": entry["new"],
                "old": entry["old"],
                "version": old.number,
            }
            return Reason("worse_than_before", Message("monitoring.worse_than_before", values))
    return None
