"""Paired cluster bootstrap of metric differences, and the gate's decision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import erfc, isfinite, sqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.core.contract.columns import local_time
from services.core.contract.use_case import UseCase
from services.core.model_registry.version import Tag
from services.core.scoring.metrics import Metric
from services.core.scoring.scored_predictions import ScoredPredictions, take_rows

if TYPE_CHECKING:
    import pandas as pd


Floats = NDArray[np.float64]

MIN_DAYS = 30
"""Days are drawn where there are this many; with fewer, the draw says too little, and incidents are."""
_CHUNK = 200
_NUMBERS_AT_ONCE = 2_000_000
"""Row weights of ranking metrics that are held at once, for test slices of any size."""


@dataclass(frozen=True, slots=True)
class BootstrapWeights:
    """Resamples of the test set's clusters.

    Attributes:
        weights: uint8 (b, g): how often each of g clusters is in each of b resamples, Poisson with mean 1.
        cluster: int64 (n,): the cluster of each row of the frame.
        unit: What a cluster is: ``day``, or the use case's group.
    """

    weights: NDArray[np.uint8]
    cluster: NDArray[np.int64]
    unit: str


@dataclass(frozen=True, slots=True)
class MetricGain:
    """How much better the new model's metric is than the old one's, in the metric's unit; negative for worse."""

    new: float
    old: float
    gain: float
    bound: float
    """The gain is at least this, one-sided."""
    worse_by_chance: float
    """Chance of a loss as large as this one, or larger, between models that are equally good."""


def resample(use_case: UseCase, frame: pd.DataFrame, resamples: int, seed: int) -> BootstrapWeights:
    """Draw the Poisson bootstrap's weights of whole clusters: days, or the use case's groups.

    Rows of one day or group are not independent, so clusters are drawn rather than rows (cluster bootstrap, Field and
    Welsh 2007); Poisson counts with mean 1 stand for multinomial ones (Chamandy et al. 2012).

    Args:
        use_case: Declares the group and the time zone.
        frame: The frozen test set, one row per example (n rows).
        resamples: Number of resamples b.
        seed: Of the random generator; equal seeds give equal weights.

    Returns:
        Weights (b, g) and the cluster (n,) of each row.
    """
    cluster, unit = clusters(use_case, frame)
    generator = np.random.default_rng(seed)
    weights = np.empty((resamples, int(cluster.max()) + 1), dtype=np.uint8)
    for start in range(0, resamples, _CHUNK):
        part = weights[start : start + _CHUNK]
        part[:] = generator.poisson(1.0, part.shape)
    return BootstrapWeights(weights, cluster, unit)


def clusters(use_case: UseCase, frame: pd.DataFrame) -> tuple[NDArray[np.int64], str]:
    """Assign each row to the cluster that is resampled as a whole. A group belongs to the day of its first row.

    Args:
        use_case: Declares the group and the time zone in which days begin.
        frame: The frozen test set, one row per example (n rows).

    Returns:
        Cluster int64 (n,) of each row, and what a cluster is: ``day`` where there are at least ``MIN_DAYS``, else the
        group's column.
    """
    import pandas as pd  # noqa: PLC0415

    groups = pd.factorize(frame[use_case.data.group_column].astype(str))[0].astype(np.int64)
    if "event_time" not in frame:
        return groups, use_case.data.group_column
    seconds = frame["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    first = np.full(int(groups.max()) + 1, np.inf)
    np.minimum.at(first, groups, seconds)
    days = local_time(first, use_case.data.timezone or "UTC").day[groups]
    codes = np.unique(days, return_inverse=True)[1].astype(np.int64)
    return (codes, "day") if codes.max() + 1 >= MIN_DAYS else (groups, use_case.data.group_column)


def metric_gain(
    new: ScoredPredictions,
    old: ScoredPredictions,
    metric: Metric,
    draws: BootstrapWeights,
    *,
    confidence: float,
    rows: Any = None,
) -> MetricGain:
    """Measure the paired gain of a metric between two models' answers to the same rows, with a bootstrap bound.

    The bound is the bootstrap's percentile; the chance is normal, with the bootstrap's standard error (Efron and
    Tibshirani 1993).

    Args:
        new: The challenger's answers to n rows.
        old: The champion's answers to the same rows.
        metric: What is compared.
        draws: Bootstrap weights of the frame's clusters.
        confidence: Of the one-sided bound, between 0 and 1.
        rows: Positions int64 (m,) of some of the n rows; None for all.

    Returns:
        Both values, their gain, its bound and its chance; a gain of NaN where the metric is not defined.
    """
    chosen = np.arange(len(new.rows)) if rows is None else np.asarray(rows)
    present, cluster = np.unique(draws.cluster[new.rows[chosen]], return_inverse=True)
    weights = draws.weights[:, present]
    values = [_resampled_metric(item, metric, cluster, weights, chosen) for item in (new, old)]
    (new_value, new_draws), (old_value, old_draws) = values
    gains = metric.gain(new_draws, old_draws)
    gains = gains[np.isfinite(gains)]
    gain = float(metric.gain(new_value, old_value))
    if gains.size == 0 or not np.isfinite(gain):
        return MetricGain(new_value, old_value, float("nan"), float("-inf"), 1.0)
    error = float(gains.std())
    chance = 0.5 * erfc(-gain / error / sqrt(2)) if error > 0 else float(gain >= 0)
    return MetricGain(new_value, old_value, gain, float(np.quantile(gains, 1 - confidence)), chance)


def _resampled_metric(
    item: ScoredPredictions,
    metric: Metric,
    cluster: NDArray[np.int64],
    weights: NDArray[np.uint8],
    rows: NDArray[np.int64],
) -> tuple[float, Floats]:
    """Compute the metric on the rows as they are, and on every resample (b,)."""
    label, value = item.label[rows], take_rows(item.value, rows)
    measured = metric.value(item.target, label, value)
    chunk = _CHUNK if metric.row_terms is not None else max(1, _NUMBERS_AT_ONCE // max(len(label), 1))
    parts = [weights[start : start + chunk] for start in range(0, len(weights), chunk)]
    if metric.row_terms is not None and metric.of_sums is not None:
        terms = metric.row_terms(item.target, label, value)
        sums = np.array([np.bincount(cluster, weights=column, minlength=weights.shape[1]) for column in terms.T]).T
        return measured, np.concatenate([metric.of_sums(part.astype(np.float64) @ sums) for part in parts])
    assert metric.of_weights is not None
    ranked = [metric.of_weights(label, value, part[:, cluster].astype(np.float64)) for part in parts]
    return measured, np.concatenate(ranked)


Outcome = Literal["passed", "refused", "unchanged"]


@dataclass(frozen=True, slots=True)
class GuardrailCheck:
    """One guarded metric of a target, variant or subgroup, as measured.

    Attributes:
        name: Target, variant or subgroup.
        metric: Name of the metric.
        limit: How much worse the metric may get, in its unit.
        measured: The gain from the old model to the new one.
        rows: Number of test rows it was measured on.
    """

    name: str
    metric: str
    limit: float
    measured: MetricGain
    rows: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided about a challenger, and everything that it measured."""

    outcome: Outcome
    reasons: tuple[str, ...]
    """Sentences for people: why it was refused, or what it passed on."""
    compared_with: str = ""
    champion: int | None = None
    """Number of the version that it was compared with; None for the baseline."""
    deciding: GuardrailCheck | None = None
    checks: tuple[GuardrailCheck, ...] = ()
    latency_ms: float = 0.0
    bundle_mb: float = 0.0
    resampled: str = ""

    @property
    def promote(self) -> bool:
        """Whether the challenger may replace the champion."""
        return self.outcome == "passed"

    def tags(self) -> dict[str, str]:
        """Summarise the decision as tags of the version in the model registry.

        Returns:
            Tag -> text; metric, gain, bound and rows only where a metric decided.
        """
        tags = {Tag.GATE: self.outcome, Tag.GATE_REASONS: " ".join(self.reasons), Tag.COMPARED_WITH: self.compared_with}
        if self.deciding is not None:
            measured = self.deciding.measured
            tags |= {
                Tag.GATE_METRIC: f"{self.deciding.name} {self.deciding.metric}",
                Tag.GAIN: f"{measured.gain:.6g}",
                Tag.BOUND: f"{measured.bound:.6g}",
                Tag.GATE_ROWS: str(self.deciding.rows),
            }
        return tags

    def as_json(self) -> dict[str, Any]:
        """Convert the decision for ``gate.json`` and programs.

        Returns:
            Content that JSON can hold: numbers that are not finite are None.
        """
        content: dict[str, Any] = _finite_or_none({"promote": self.promote, **asdict(self)})
        return content


def _finite_or_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite_or_none(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite_or_none(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
