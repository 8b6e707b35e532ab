"""How far two samples lie apart, and how surely: measures of effect for people, p-values against chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

Floats = NDArray[np.float64]
MOST_WORDS = 200
"""Words beyond the most frequent ones of the reference count as one."""
OTHER = "\0other"


@dataclass(frozen=True, slots=True)
class Distance:
    """``value`` is 0 for equal samples; ``chance`` is the probability of one as large between equal populations."""

    measure: str
    value: float
    chance: float


def numbers_apart(reference: Floats, current: Floats, weights: Floats) -> Distance:
    """Wasserstein distance of the weighted reference to the current values, in standard deviations of the reference.
    The chance is that of the Kolmogorov-Smirnov distance at the weights' effective size. Neither has a NaN."""
    spread = _weighted_deviation(reference, weights)
    if spread == 0:  # a constant: it moved, or it did not
        moved = float(np.mean(current != reference[0]))
        return Distance("wasserstein", moved, 0.0 if moved > 0.01 else 1.0)
    value = float(stats.wasserstein_distance(reference, current, u_weights=weights) / spread)
    return Distance("wasserstein", value, _kolmogorov(reference, current, weights))


def words_apart(reference: NDArray[Any], current: NDArray[Any], weights: Floats) -> Distance:
    """Jensen-Shannon distance (base 2, 0 to 1) of the words' shares; the chance is a chi-squared test's."""
    shares, counts = word_shares(reference, current, weights)
    middle = (shares + counts / counts.sum()) / 2
    own = counts / counts.sum()
    divergence = 0.5 * (_relative_entropy(shares, middle) + _relative_entropy(own, middle))
    return Distance("jensenshannon", float(np.sqrt(max(divergence, 0.0))), _chi_squared(shares, counts, weights))


def word_shares(reference: NDArray[Any], current: NDArray[Any], weights: Floats) -> tuple[Floats, Floats]:
    """Weighted shares in the reference and counts in the current sample, over the words of either."""
    ours: dict[str, float] = {}
    for word, weight in zip(reference.tolist(), weights.tolist(), strict=True):
        ours[word] = ours.get(word, 0.0) + weight
    frequent = set(sorted(ours, key=lambda word: -ours[word])[:MOST_WORDS])
    theirs: dict[str, float] = {}
    for word in current.tolist():
        key = word if word in frequent else OTHER
        theirs[key] = theirs.get(key, 0.0) + 1
    total = sum(ours.values())
    folded: dict[str, float] = {}
    for word, weight in ours.items():
        key = word if word in frequent else OTHER
        folded[key] = folded.get(key, 0.0) + weight / total
    names = sorted(set(folded) | set(theirs))
    return (
        np.array([folded.get(name, 0.0) for name in names]),
        np.array([theirs.get(name, 0.0) for name in names]),
    )


def shares_apart(reference: float, current: float, size: float, count: int) -> float:
    """Chance of two shares as different as these, of samples of these sizes, between equal populations."""
    pooled = (reference * size + current * count) / (size + count)
    error = np.sqrt(max(pooled * (1 - pooled), 1e-12) * (1 / size + 1 / count))
    return float(2 * stats.norm.sf(abs(current - reference) / error))


def effective_size(weights: Floats) -> float:
    """How many equally weighted rows say as much (Kish)."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0


def holm(chances: Floats) -> Floats:
    """P-values corrected for their number by Holm's method (n,)."""
    corrected: Floats = multipletests(chances, method="holm")[1]
    return corrected


def _weighted_deviation(values: Floats, weights: Floats) -> float:
    mean = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def _kolmogorov(reference: Floats, current: Floats, weights: Floats) -> float:
    order = np.argsort(reference, kind="stable")
    points = np.unique(np.concatenate([reference, current]))
    below = np.concatenate([[0.0], np.cumsum(weights[order])]) / weights.sum()
    ours = below[np.searchsorted(reference[order], points, side="right")]
    theirs = np.searchsorted(np.sort(current), points, side="right") / len(current)
    size = effective_size(weights) * len(current) / (effective_size(weights) + len(current))
    return float(stats.kstwobign.sf(np.abs(ours - theirs).max() * np.sqrt(size)))


def _relative_entropy(shares: Floats, middle: Floats) -> float:
    here = shares > 0
    return float((shares[here] * np.log2(shares[here] / middle[here])).sum())


def _chi_squared(shares: Floats, counts: Floats, weights: Floats) -> float:
    size, count = effective_size(weights), counts.sum()
    table = np.stack([shares * size, counts])
    expected = table.sum(axis=0) * np.array([[size], [count]]) / (size + count)
    rare = expected.min(axis=0) < 5
    if rare.any():  # words that chi-squared does not hold for are taken together
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
        expected = np.column_stack([expected[:, ~rare], expected[:, rare].sum(axis=1)])
    if table.shape[1] < 2:
        return 1.0
    return float(stats.chi2.sf(((table - expected) ** 2 / np.maximum(expected, 1e-9)).sum(), table.shape[1] - 1))
