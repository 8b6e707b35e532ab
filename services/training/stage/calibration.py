"""Calibration methods: conformal intervals, probability calibration, decision threshold, temperature scaling."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.calibration import BinaryCalibration, MultiClassCalibration, RegressionCalibration, group_key
from services.core.contract.use_case import BinaryClassification, Regression

Floats = NDArray[np.float64]
_EDGE = 1e-4
"""Calibrated probabilities keep this distance from 0 and 1: a small slice cannot prove certainty."""


class IntervalRows(NamedTuple):
    """Calibration rows of a regression target: outcome, the three boosters' outputs and interval group, all (n,)."""

    outcome: Floats
    value: Floats
    lower: Floats
    upper: Floats
    group: NDArray[np.str_] | None


def calibrate_regression(
    output: Regression, metric: str, rows: IntervalRows, extra: list[IntervalRows], minimum_group: int
) -> RegressionCalibration:
    """Compute the interval's conformal correction per group (Romano, Patterson and Candès 2019) and the bias of values.

    Args:
        output: Declares coverage, interval groups and the smallest possible value.
        metric: The deciding metric: the bias is a mean for ``rmse`` and ``r2``, else a median.
        rows: Calibration rows (n,).
        extra: The variants' rows: they count only for groups that the plain rows do not have, so that the plain rows'
            coverage is theirs alone.
        minimum_group: Rows that a group needs for a correction of its own.

    Returns:
        Corrections and shift in the target's unit.
    """
    groups: dict[str, float] = {}
    if output.interval_by is not None:
        known: set[str] = set()
        for part in (rows, *extra):
            assert part.group is not None
            new = set(part.group.tolist()) - known
            for name in sorted(new):
                chosen = part.group == name
                if chosen.sum() >= minimum_group:
                    groups[name] = conformal_width(
                        part.outcome[chosen], part.lower[chosen], part.upper[chosen], output.coverage
                    )
            known |= new
    centre = np.mean if metric in {"rmse", "r2"} else np.median
    return RegressionCalibration(
        by=output.interval_by,
        groups=groups,
        otherwise=conformal_width(rows.outcome, rows.lower, rows.upper, output.coverage),
        shift=bias_correction(rows.outcome - rows.value, centre) if output.centred else 0.0,
        minimum=output.minimum,
    )


def conformal_width(outcome: Floats, lower: Floats, upper: Floats, coverage: float) -> float:
    """Compute what is added on both sides of an interval to reach its coverage (Romano, Patterson and Candès 2019).

    A new exchangeable row is covered with at least ``coverage``: the width is the ceil((n + 1) * coverage)-th smallest
    score max(lower - outcome, outcome - upper).

    Args:
        outcome: Actual values float64 (n,).
        lower: Lower ends float64 (n,).
        upper: Upper ends float64 (n,).
        coverage: Share of outcomes inside, between 0 and 1.

    Returns:
        Width in the unit of the outcome; negative where the interval is too wide, 0 without rows.
    """
    scores = np.sort(np.maximum(lower - outcome, outcome - upper))
    if scores.size == 0:
        return 0.0
    rank = int(np.ceil((scores.size + 1) * coverage - 1e-9))
    return float(scores[min(rank, scores.size) - 1])


def bias_correction(residual: Floats, centre: Callable[[Floats], np.floating]) -> float:
    """Compute the residuals' centre where correcting by it helps on held-out rows, by more than one standard error.

    Args:
        residual: Actual minus predicted values float64 (n,).
        centre: Mean or median.

    Returns:
        The centre in the unit of the residuals; 0 where it does not help, or for fewer than 100 rows.
    """
    if residual.size < 100:
        return 0.0
    part = np.arange(residual.size) % 5
    gains = np.empty_like(residual)
    for number in range(5):
        here = part == number
        corrected = residual[here] - float(centre(residual[~here]))
        loss = np.abs if centre is np.median else np.square
        gains[here] = loss(residual[here]) - loss(corrected)
    helps = gains.mean() > gains.std() / np.sqrt(gains.size)
    return float(centre(residual)) if helps else 0.0


def calibrate_binary(output: BinaryClassification, raw: Floats, outcome: Floats) -> BinaryCalibration:
    """Fit the probability map with the lowest cross-validated log loss, and the threshold of least cost after it.

    The probabilities stay as they are unless a map is better by more than a standard error: a map that was chosen by
    chance carries the slice's season into the next ones.

    Args:
        output: Declares the costs of a miss and of a false alarm.
        raw: The model's probabilities float64 (n,).
        outcome: 0 or 1, float64 (n,).

    Returns:
        Points of the monotone map, joined by lines, and the threshold.
    """
    part = np.arange(raw.size) % 5
    losses: dict[str, Floats] = {}
    for name, fit in _CALIBRATORS.items():
        held_out = np.empty_like(raw)
        for number in range(5):
            here = part == number
            x, y = fit(raw[~here], outcome[~here])
            held_out[here] = np.interp(raw[here], x, y)
        losses[name] = _log_losses(held_out, outcome)
    best = min(losses, key=lambda name: float(losses[name].mean()))
    gain = losses["unchanged"] - losses[best]
    x, y = _CALIBRATORS[best if gain.mean() > gain.std() / np.sqrt(gain.size) else "unchanged"](raw, outcome)
    return BinaryCalibration(
        x=x.tolist(), y=y.tolist(), threshold=least_cost_threshold(output, np.interp(raw, x, y), outcome)
    )


def least_cost_threshold(output: BinaryClassification, probability: Floats, outcome: Floats, rounds: int = 40) -> float:
    """Find the threshold where misses and false alarms cost least, averaged over Poisson bootstrap resamples.

    The cost is flat around its minimum, and the minimum of one sample is noise.

    Args:
        output: Declares the costs of a miss and of a false alarm.
        probability: Calibrated probabilities float64 (n,).
        outcome: 0 or 1, float64 (n,).
        rounds: Number of resamples.

    Returns:
        Probability from which the answer is yes.
    """
    order = np.argsort(probability, kind="stable")
    ordered, positive = probability[order], outcome[order]
    generator = np.random.default_rng(0)
    found = []
    for _ in range(rounds):
        weight = generator.poisson(1.0, ordered.size)
        missed = np.concatenate([[0.0], np.cumsum(weight * positive)]) * output.cost_of_miss
        alarms = np.concatenate([[0.0], np.cumsum(weight * (1 - positive))])
        cost = missed + (alarms[-1] - alarms) * output.cost_of_false_alarm
        at = int(np.argmin(cost))
        below = ordered[at - 1] if at > 0 else 0.0
        above = ordered[at] if at < ordered.size else 1.0
        found.append((below + above) / 2)
    return float(np.mean(found))


Points = tuple[Floats, Floats]


def _unchanged(_raw: Floats, _outcome: Floats) -> Points:
    return np.array([0.0, 1.0]), np.array([0.0, 1.0])


def _platt(raw: Floats, outcome: Floats) -> Points:
    """Fit a straight line in log odds (Platt 1999)."""
    grid = _grid(raw)
    return grid, _logistic(_log_odds(raw)[:, None], outcome, _log_odds(grid)[:, None])


def _beta(raw: Floats, outcome: Floats) -> Points:
    """Fit separate weights of log p and log (1 - p) (beta calibration: Kull, Silva Filho and Flach 2017)."""

    def parts(p: Floats) -> Floats:
        clipped = np.clip(p, _EDGE, 1 - _EDGE)
        return np.column_stack([np.log(clipped), -np.log1p(-clipped)])

    grid = _grid(raw)
    return grid, _logistic(parts(raw), outcome, parts(grid))


def _isotonic(raw: Floats, outcome: Floats) -> Points:
    """Fit merged isotonic steps (Zadrozny and Elkan 2002), joined by lines: no jumps, and no zeros from a few rows."""
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

    order = np.argsort(raw, kind="stable")
    x, y = raw[order], outcome[order]
    steps = IsotonicRegression().fit_transform(x, y)
    starts = np.flatnonzero(np.diff(steps, prepend=-1.0) > 0)
    smallest = max(25, raw.size // 100)
    kept = [0]
    for start in starts[1:]:
        if start - kept[-1] >= smallest:
            kept.append(int(start))
    if raw.size - kept[-1] < smallest and len(kept) > 1:
        kept.pop()
    count = np.diff([*kept, raw.size])
    centre_x = np.add.reduceat(x, kept) / count
    # one success and one failure more in each step: no step says never or always
    centre_y = (np.add.reduceat(y, kept) + 0.5) / (count + 1)
    return _strictly_increasing(np.concatenate([[0.0], centre_x, [1.0]]), np.concatenate([[0.0], centre_y, [1.0]]))


_CALIBRATORS: dict[str, Callable[[Floats, Floats], Points]] = {
    "unchanged": _unchanged,
    "platt": _platt,
    "beta": _beta,
    "isotonic": _isotonic,
}


def _grid(raw: Floats) -> Floats:
    """Points between which the map is nearly straight: denser where the rows are."""
    points = np.concatenate([np.quantile(raw, np.linspace(0, 1, 101)), np.linspace(0, 1, 51)])
    return np.unique(points.round(6))


def _logistic(features: Floats, outcome: Floats, grid: Floats) -> Floats:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    if outcome.min() == outcome.max():
        return np.linspace(_EDGE, 1 - _EDGE, len(grid))
    model = LogisticRegression(C=1e4).fit(features, outcome)
    values: Floats = np.clip(model.predict_proba(grid)[:, 1], _EDGE, 1 - _EDGE)
    return np.maximum.accumulate(values) + 1e-9 * np.arange(len(values))


def _strictly_increasing(x: Floats, y: Floats) -> Points:
    """Drop repeated x and make y rise at every point, so that no two rows change their order."""
    keep = np.concatenate([[True], np.diff(x) > 1e-9])
    x, y = x[keep], y[keep]
    return x, np.maximum.accumulate(np.clip(y, _EDGE, 1 - _EDGE)) + 1e-7 * np.arange(len(y))


def _log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(clipped) - np.log1p(-clipped)


def _log_losses(p: Floats, outcome: Floats) -> Floats:
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    losses: Floats = -(outcome * np.log(clipped) + (1 - outcome) * np.log1p(-clipped))
    return losses


def calibrate_multi_class(raw: Floats, outcome: NDArray[np.int64]) -> MultiClassCalibration:
    """Fit a temperature (Guo et al. 2017) and a bias per class by log loss, with a small penalty on the bias.

    Args:
        raw: The model's probabilities float64 (n, k).
        outcome: Class numbers int64 (n,).

    Returns:
        The temperature and k biases.
    """
    from scipy.optimize import minimize  # noqa: PLC0415

    count, width = raw.shape
    logs = np.log(np.maximum(raw, 1e-12))
    truth = np.eye(width)[outcome]

    def loss(values: Floats) -> tuple[float, Floats]:
        slope, bias = np.exp(values[0]), values[1:]
        logits = logs * slope + bias
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(axis=1, keepdims=True)
        chance = powers / total
        error = (chance - truth) / count
        value = -np.sum(truth * (logits - np.log(total))) / count + np.sum(bias**2) / count
        gradient = np.concatenate([[np.sum(error * logs) * slope], error.sum(axis=0) + 2 * bias / count])
        return float(value), gradient

    found = minimize(loss, np.zeros(width + 1), jac=True, method="L-BFGS-B").x
    return MultiClassCalibration(temperature=float(np.exp(-found[0])), bias=[float(b) for b in found[1:]])


def group_keys(facts: NDArray[np.float64] | NDArray[np.object_]) -> NDArray[np.str_]:
    """Name each row's interval group, str (n,), as the calibration stores it, from the grouping values (n,)."""
    return np.array([group_key(value) for value in facts])
