"""Paired cluster bootstrap of metric differences, and the gate's decision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import erfc, isfinite, sqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.core.contract.local_time import local_time
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
    """``weights`` (b, g): how often each cluster is in each resample, Poisson with mean 1.
    ``cluster`` (n,): the cluster of each row of the frame."""

    weights: NDArray[np.uint8]
    cluster: NDArray[np.int64]
    unit: str


@dataclass(frozen=True, slots=True)
class MetricGain:
    """How much better the new model's metric is, in the metric's unit; negative for worse."""

    new: float
    old: float
    gain: float
    bound: float
    """The gain is at least this, one-sided."""
    worse_by_chance: float
    """Chance of a loss as large as this one, or larger, between models that are equally good."""


def resample(use_case: UseCase, frame: pd.DataFrame, resamples: int, seed: int) -> BootstrapWeights:
    """Choose what is drawn, days or the use case's groups, and draw it."""
    cluster, unit = clusters(use_case, frame)
    generator = np.random.default_rng(seed)
    weights = np.empty((resamples, int(cluster.max()) + 1), dtype=np.uint8)
    for start in range(0, resamples, _CHUNK):
        part = weights[start : start + _CHUNK]
        part[:] = generator.poisson(1.0, part.shape)
    return BootstrapWeights(weights, cluster, unit)


def clusters(use_case: UseCase, frame: pd.DataFrame) -> tuple[NDArray[np.int64], str]:
    """Cluster (n,) of each row, and what a cluster is. A group belongs to the day of its first row."""
    import pandas as pd  # noqa: PLC0415

    groups = pd.factorize(frame[use_case.group].astype(str))[0].astype(np.int64)
    if "event_time" not in frame:
        return groups, use_case.group
    seconds = frame["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    first = np.full(int(groups.max()) + 1, np.inf)
    np.minimum.at(first, groups, seconds)
    days = local_time(first, use_case.zone or "UTC").day[groups]
    codes = np.unique(days, return_inverse=True)[1].astype(np.int64)
    return (codes, "day") if codes.max() + 1 >= MIN_DAYS else (groups, use_case.group)


def metric_gain(
    new: ScoredPredictions,
    old: ScoredPredictions,
    metric: Metric,
    draws: BootstrapWeights,
    *,
    confidence: float,
    rows: Any = None,
) -> MetricGain:
    """The gain of ``metric`` from ``old`` to ``new``, both answers to the same rows; ``rows`` picks
    some of them. The bound is the bootstrap's percentile; the chance uses its standard error."""
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
    """The metric on the rows as they are, and on every resample (b,)."""
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
    """One guard. ``limit`` is how much worse the metric may get, in its unit."""

    name: str
    metric: str
    limit: float
    measured: MetricGain
    rows: int


@dataclass(frozen=True, slots=True)
class Decision:
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
        return self.outcome == "passed"

    def tags(self) -> dict[str, str]:
        """For the version in the registry."""
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
        """For people and programs; numbers that are not finite become null, as JSON has none."""
        content: dict[str, Any] = _finite_or_none({"promote": self.promote, **asdict(self)})
        return content


def _finite_or_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite_or_none(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite_or_none(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
