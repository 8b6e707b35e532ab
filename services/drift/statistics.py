"""Statistics of monitoring: distances of samples with p-values, losses of rows, and segments of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from services.core.contract.columns import column_types, free_text_fields
from services.core.contract.use_case import (
    BinaryClassification,
    BinaryPrediction,
    MultiClass,
    Regression,
    RegressionPrediction,
    Target,
    TargetPrediction,
    UseCase,
)

Floats = NDArray[np.float64]
MAX_CATEGORIES = 200
"""Words beyond the most frequent ones of the reference count as one."""
OTHER_CATEGORY = "\0other"


@dataclass(frozen=True, slots=True)
class Distance:
    """Distance of two samples: ``value`` 0 for equal ones, and the probability of one as large by chance."""

    measure: str
    value: float
    p_value: float


def numeric_distance(reference: Floats, current: Floats, weights: Floats) -> Distance:
    """Wasserstein distance of two numeric samples, with the p-value of the Kolmogorov-Smirnov test.

    Args:
        reference: values (n,) without NaN.
        current: values (m,) without NaN.
        weights: of the reference rows (n,). The test counts them with their effective sample size.

    Returns:
        The distance in standard deviations of the reference; the share of moved values where the reference is constant.
    """
    spread = _weighted_deviation(reference, weights)
    if spread == 0:  # a constant: it moved, or it did not
        moved = float(np.mean(current != reference[0]))
        return Distance("wasserstein", moved, 0.0 if moved > 0.01 else 1.0)
    value = float(stats.wasserstein_distance(reference, current, u_weights=weights) / spread)
    return Distance("wasserstein", value, _kolmogorov_p_value(reference, current, weights))


def categorical_distance(reference: NDArray[Any], current: NDArray[Any], weights: Floats) -> Distance:
    """Jensen-Shannon distance (base 2, 0 to 1) of the categories' shares, with the p-value of a chi-squared test.

    Args:
        reference: categories (n,), as str.
        current: categories (m,), as str.
        weights: of the reference rows (n,).

    Source: J. Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991) 145-151.
    """
    shares, counts = category_shares(reference, current, weights)
    middle = (shares + counts / counts.sum()) / 2
    own = counts / counts.sum()
    divergence = 0.5 * (_relative_entropy(shares, middle) + _relative_entropy(own, middle))
    return Distance(
        "jensenshannon", float(np.sqrt(max(divergence, 0.0))), _chi_squared_p_value(shares, counts, weights)
    )


def category_shares(reference: NDArray[Any], current: NDArray[Any], weights: Floats) -> tuple[Floats, Floats]:
    """Weighted shares in the reference and counts in the current sample, over the categories of either.

    Args:
        reference: categories (n,), as str. Beyond the ``MAX_CATEGORIES`` most frequent ones they count as one.
        current: categories (m,), as str.
        weights: of the reference rows (n,).

    Returns:
        Shares (k,), which sum to 1, and counts (k,), both in the categories' order.
    """
    ours: dict[str, float] = {}
    for word, weight in zip(reference.tolist(), weights.tolist(), strict=True):
        ours[word] = ours.get(word, 0.0) + weight
    frequent = set(sorted(ours, key=lambda word: -ours[word])[:MAX_CATEGORIES])
    theirs: dict[str, float] = {}
    for word in current.tolist():
        key = word if word in frequent else OTHER_CATEGORY
        theirs[key] = theirs.get(key, 0.0) + 1
    total = sum(ours.values())
    folded: dict[str, float] = {}
    for word, weight in ours.items():
        key = word if word in frequent else OTHER_CATEGORY
        folded[key] = folded.get(key, 0.0) + weight / total
    names = sorted(set(folded) | set(theirs))
    return (
        np.array([folded.get(name, 0.0) for name in names]),
        np.array([theirs.get(name, 0.0) for name in names]),
    )


def share_difference_p_value(reference: float, current: float, size: float, count: int) -> float:
    """Two-sided p-value of the z-test of two shares, with pooled variance.

    Args:
        reference: share in the reference, 0 to 1.
        current: share in the current sample, 0 to 1.
        size: effective sample size of the reference.
        count: rows of the current sample.
    """
    pooled = (reference * size + current * count) / (size + count)
    error = np.sqrt(max(pooled * (1 - pooled), 1e-12) * (1 / size + 1 / count))
    return float(2 * stats.norm.sf(abs(current - reference) / error))


def effective_sample_size(weights: Floats) -> float:
    """How many equally weighted rows are as precise as rows with these ``weights`` (n,).

    Source: L. Kish, Survey Sampling, Wiley 1965.
    """
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0


def holm(p_values: Floats) -> Floats:
    """P-values (n,) corrected for their number (n,) by Holm's method.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979) 65-70.
    """
    corrected: Floats = multipletests(p_values, method="holm")[1]
    return corrected


def _weighted_deviation(values: Floats, weights: Floats) -> float:
    mean = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def _kolmogorov_p_value(reference: Floats, current: Floats, weights: Floats) -> float:
    order = np.argsort(reference, kind="stable")
    points = np.unique(np.concatenate([reference, current]))
    below = np.concatenate([[0.0], np.cumsum(weights[order])]) / weights.sum()
    ours = below[np.searchsorted(reference[order], points, side="right")]
    theirs = np.searchsorted(np.sort(current), points, side="right") / len(current)
    size = effective_sample_size(weights) * len(current) / (effective_sample_size(weights) + len(current))
    return float(stats.kstwobign.sf(np.abs(ours - theirs).max() * np.sqrt(size)))


def _relative_entropy(shares: Floats, middle: Floats) -> float:
    here = shares > 0
    return float((shares[here] * np.log2(shares[here] / middle[here])).sum())


def _chi_squared_p_value(shares: Floats, counts: Floats, weights: Floats) -> float:
    size, count = effective_sample_size(weights), counts.sum()
    table = np.stack([shares * size, counts])
    expected = table.sum(axis=0) * np.array([[size], [count]]) / (size + count)
    rare = expected.min(axis=0) < 5
    if rare.any():  # words that chi-squared does not hold for are taken together
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
        expected = np.column_stack([expected[:, ~rare], expected[:, rare].sum(axis=1)])
    if table.shape[1] < 2:
        return 1.0
    return float(stats.chi2.sf(((table - expected) ** 2 / np.maximum(expected, 1e-9)).sum(), table.shape[1] - 1))


def loss_name(target: Target) -> str:
    """The metric that is the mean of ``row_losses``: ``mae``, ``brier`` or ``log_loss``."""
    return {Regression: "mae", BinaryClassification: "brier", MultiClass: "log_loss"}[type(target.output)]


def row_losses(label: Floats, value: TargetPrediction) -> Floats:
    """Loss of each row: absolute error, squared error of the probability, or the true class's negative log-probability.

    Args:
        label: outcomes (n,), float64: value, 0/1 or class index; NaN where unknown.
        value: predictions of the n rows.

    Returns:
        Losses (n,), float64, in the target's unit for regressions; NaN where there is no label.
    """
    if isinstance(value, RegressionPrediction):
        return np.abs(np.asarray(value.value) - label)
    if isinstance(value, BinaryPrediction):
        return (np.asarray(value.probability) - label) ** 2
    known = ~np.isnan(label)
    found = np.full(len(label), np.nan)
    chance = np.asarray(value.probabilities)[np.flatnonzero(known), label[known].astype(np.int64)]
    found[known] = -np.log(np.clip(chance, 1e-15, 1))
    return found


def estimated_loss(value: TargetPrediction) -> Floats:
    """Loss of each row that the predictions themselves expect, where no outcome is known.

    Args:
        value: calibrated predictions of n rows.

    Returns:
        Losses (n,), float64. Of regressions half the interval's width: right up to a factor that the test set gives.
    """
    if isinstance(value, RegressionPrediction):
        return (np.asarray(value.upper) - np.asarray(value.lower)) / 2
    if isinstance(value, BinaryPrediction):
        chance = np.asarray(value.probability)
        return np.asarray(chance * (1 - chance))
    chances = np.clip(np.asarray(value.probabilities), 1e-15, 1)
    return np.asarray(-(chances * np.log(chances)).sum(axis=1))


def point_prediction(value: TargetPrediction) -> NDArray[Any]:
    """One number for each row (n,): value, probability, or index of the likeliest class."""
    if isinstance(value, RegressionPrediction):
        return np.asarray(value.value)
    if isinstance(value, BinaryPrediction):
        return np.asarray(value.probability)
    return np.asarray(value.probabilities).argmax(axis=1)


CENTRE, HOUR = "centre", "hour"
UNSEEN, KNOWN = "never seen before", "known"
"""Values of a column whose words are too many to be groups: whether the model knows the word."""
MAX_VALUES = 150
"""A column with more values names single calls, not groups."""
_UNINFORMATIVE = frozenset({"", KNOWN, "unknown", "elsewhere", "nan", "None"})


@dataclass(frozen=True, slots=True)
class Segment:
    """Calls with the same ``value`` in a categorical ``column``."""

    column: str
    value: str

    @property
    def is_place_or_kind(self) -> bool:
        """Whether it is neither a centre nor an hour of day."""
        return self.column not in {CENTRE, HOUR}


def segment_columns(
    use_case: UseCase, frame: pd.DataFrame, facts: Mapping[str, Any], reference: pd.DataFrame
) -> dict[str, NDArray[Any]]:
    """Columns that calls are segmented by: subgroups, categorical fields and facts, the centre, and quarters of a day.

    Args:
        use_case: declares subgroups, request fields and time zone.
        frame: n calls of the window, or rows of the test set.
        facts: name -> values (n,) that the model gave beside its predictions; those of text are segments.
        reference: the bundle's reference sample. Of a field with too many values: whether it has it.

    Returns:
        Column -> each row's value (n,), as str; "" where there is none.
    """
    of, free = column_types(use_case.serving.request), free_text_fields(use_case.serving.request)
    names = [group.column for group in use_case.modelling.subgroups if group.column in frame]
    names += [name for name, kind in of.items() if kind in {"category", "text", "flag"} and name not in {*names, *free}]
    found = {name: _as_text(frame[name]) for name in names if name in frame}
    for name, values in facts.items():
        array = np.asarray(values)
        if array.dtype.kind in {"U", "O", "S"} and array.shape == (len(frame),):
            found.setdefault(name, np.array([str(value) for value in array.tolist()], dtype=object))
    if "call_centre" in frame:
        found[CENTRE] = _as_text(frame["call_centre"])
    if (
        "event_time" in frame
        and use_case.serving.time_field is not None
        and of.get(use_case.serving.time_field) == "time"
    ):
        hour = frame["event_time"].dt.tz_convert(use_case.data.timezone or "UTC").dt.hour.to_numpy() // 6 * 6
        found[HOUR] = np.array([f"{value:02d}-{value + 6:02d}" for value in hour.tolist()], dtype=object)
    for name, words in found.items():
        if name in reference and len(set(reference[name].astype(object).tolist())) > MAX_VALUES:
            vocabulary = set(_as_text(reference[name]).tolist())
            found[name] = np.array(
                [KNOWN if word in vocabulary or not word else UNSEEN for word in words], dtype=object
            )
    return {name: words for name, words in found.items() if 1 < len(set(words.tolist())) <= MAX_VALUES}


def is_informative(word: str) -> bool:
    """Whether a value describes the calls that have it."""
    return word not in _UNINFORMATIVE


def _as_text(series: pd.Series) -> NDArray[Any]:
    def word(value: Any) -> str:
        if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
            return ""
        return f"{value:g}" if isinstance(value, float) else str(value)

    return np.array([word(value) for value in series.astype(object).tolist()], dtype=object)
