"""Every metric equals scikit-learn's, over all rows, per subgroup and per resample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    RegressionPrediction,
    Target,
    TargetPrediction,
)
from services.core.scoring.metrics import metric_of, metrics_of
from services.core.scoring.report import compute_metrics, metric_by_group
from services.core.scoring.scored_predictions import ScoredPredictions, take_rows
from tests.toy.declaration import SIZES, USE_CASE

SECONDS, LATE, SIZE = USE_CASE.modelling.targets
N = 400


def quantity() -> tuple[np.ndarray, RegressionPrediction]:
    rng = np.random.default_rng(1)
    value = rng.uniform(100, 900, N)
    return value + rng.normal(0, 50, N), RegressionPrediction(value, value - 70, value + 90)


def probability() -> tuple[np.ndarray, BinaryPrediction]:
    rng = np.random.default_rng(2)
    chance = rng.uniform(0, 1, N).round(2)  # rounded: ties
    return (rng.random(N) < chance).astype(float), BinaryPrediction(chance, 0.35)


def classes() -> tuple[np.ndarray, MultiClassPrediction]:
    rng = np.random.default_rng(3)
    chance = rng.dirichlet([1, 2, 3], N)
    return rng.integers(0, 3, N).astype(float), MultiClassPrediction(chance, SIZES)


Reference = Callable[[np.ndarray, Any], float]
CASES: dict[tuple[str, str], Reference] = {
    ("seconds", "mae"): lambda y, v: sklearn_metrics.mean_absolute_error(y, v.value),
    ("seconds", "rmse"): lambda y, v: sklearn_metrics.root_mean_squared_error(y, v.value),
    ("seconds", "r2"): lambda y, v: sklearn_metrics.r2_score(y, v.value),
    ("seconds", "coverage_90"): lambda y, v: float(np.mean((y >= v.lower) & (y <= v.upper))),
    ("seconds", "mean_width"): lambda _, v: float(np.mean(v.upper - v.lower)),
    ("late", "roc_auc"): lambda y, v: sklearn_metrics.roc_auc_score(y, v.probability),
    ("late", "pr_auc"): lambda y, v: sklearn_metrics.average_precision_score(y, v.probability),
    ("late", "brier"): lambda y, v: sklearn_metrics.brier_score_loss(y, v.probability),
    ("late", "log_loss"): lambda y, v: sklearn_metrics.log_loss(y, np.clip(v.probability, 1e-15, 1 - 1e-15)),
    ("late", "f1"): lambda y, v: sklearn_metrics.f1_score(y, v.decision),
    ("late", "f1_weighted"): lambda y, v: sklearn_metrics.f1_score(y, v.decision, average="weighted"),
    ("late", "precision"): lambda y, v: sklearn_metrics.precision_score(y, v.decision),
    ("late", "recall"): lambda y, v: sklearn_metrics.recall_score(y, v.decision),
    ("late", "accuracy"): lambda y, v: sklearn_metrics.accuracy_score(y, v.decision),
    ("late", "cost"): lambda y, v: float(np.mean(2.0 * (~v.decision & (y == 1)) + 1.0 * (v.decision & (y == 0)))),
    ("late", "ece"): lambda y, v: simple_ece(y, v.probability),
    ("size", "accuracy"): lambda y, v: sklearn_metrics.accuracy_score(y, v.probabilities.argmax(1)),
    ("size", "f1_weighted"): lambda y, v: sklearn_metrics.f1_score(y, v.probabilities.argmax(1), average="weighted"),
    ("size", "f1_macro"): lambda y, v: sklearn_metrics.f1_score(y, v.probabilities.argmax(1), average="macro"),
    ("size", "log_loss"): lambda y, v: sklearn_metrics.log_loss(y, v.probabilities, labels=[0, 1, 2]),
}
DATA = {"seconds": quantity(), "late": probability(), "size": classes()}


def simple_ece(outcome: np.ndarray, chance: np.ndarray) -> float:
    """15 bins of equal mass, written out."""
    ranks = np.array([np.sum(chance < p) for p in chance])
    bins = ranks * 15 // len(chance)
    return sum(np.mean(bins == b) * abs(np.mean((chance - outcome)[bins == b])) for b in set(bins.tolist()))


def item(name: str, rows: Any = slice(None)) -> ScoredPredictions:
    label, value = DATA[name]
    return ScoredPredictions(name, USE_CASE.target(name), np.arange(N)[rows], label[rows], take_rows(value, rows))


def test_every_metric_has_a_reference_here() -> None:
    known = {(target.name, metric) for target in USE_CASE.modelling.targets for metric in metrics_of(target)}
    assert set(CASES) == known


@pytest.mark.parametrize(("name", "metric"), CASES, ids="-".join)
def test_it_equals_the_reference(name: str, metric: str) -> None:
    label, value = DATA[name]
    found = metric_of(USE_CASE.target(name), metric).value(USE_CASE.target(name), label, value)
    assert found == pytest.approx(CASES[name, metric](label, value), rel=1e-9)


@pytest.mark.parametrize(("name", "metric"), [case for case in CASES if case[1] != "ece"], ids="-".join)
def test_each_subgroup_equals_the_reference_on_its_rows(name: str, metric: str) -> None:
    groups = np.arange(N) % 4
    values, counts = metric_by_group(item(name), metric_of(USE_CASE.target(name), metric), groups)
    for number in range(4):
        label, value = DATA[name]
        rows = groups == number
        assert values[number] == pytest.approx(CASES[name, metric](label[rows], take_rows(value, rows)), rel=1e-9)
    assert counts.tolist() == [100, 100, 100, 100]


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc"])
def test_ranking_with_weights_is_ranking_with_repeated_rows(metric: str) -> None:
    label, value = DATA["late"]
    repeats = np.random.default_rng(4).poisson(1.0, N)
    chosen = np.repeat(np.arange(N), repeats)
    weighted = metric_of(LATE, metric).of_weights(label, value, repeats[None, :].astype(float))[0]
    assert weighted == pytest.approx(CASES["late", metric](label[chosen], take_rows(value, chosen)), rel=1e-9)


def test_metrics_that_rows_of_one_kind_do_not_define_are_left_out_with_their_reason() -> None:
    rows = DATA["late"][0] == 0
    values, reasons = compute_metrics(item("late", rows))
    assert reasons["roc_auc"] == "all rows have the same outcome"
    assert reasons["recall"] == "no row is positive"
    assert "brier" in values
    assert not set(values) & set(reasons)


def test_one_row_defines_no_spread() -> None:
    values, reasons = compute_metrics(item("seconds", slice(0, 1)))
    assert "mae" in values
    assert reasons == {"r2": "all outcomes are equal"}


@pytest.mark.parametrize(
    ("target", "metric", "new", "old", "better"),
    [
        (SECONDS, "mae", 9.0, 10.0, True),
        (SECONDS, "r2", 0.4, 0.5, False),
        (SECONDS, "coverage_90", 0.91, 0.95, True),
        (SECONDS, "coverage_90", 0.85, 0.91, False),
        (LATE, "roc_auc", 0.9, 0.8, True),
        (SIZE, "log_loss", 1.0, 0.9, False),
    ],
)
def test_a_gain_is_positive_where_the_metric_got_better(
    target: Target, metric: str, new: float, old: float, better: bool
) -> None:
    assert (metric_of(target, metric).gain(new, old) > 0) == better


def test_an_unknown_metric_is_named_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="brier"):
        metric_of(SECONDS, "brier")


def test_equal_predictions_share_a_bin_of_the_calibration_error() -> None:
    value: TargetPrediction = BinaryPrediction(np.full(100, 0.3), 0.5)
    label = (np.arange(100) < 40).astype(float)
    assert metric_of(LATE, "ece").value(LATE, label, value) == pytest.approx(0.1)
