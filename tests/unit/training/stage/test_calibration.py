"""Calibration keeps its promises on rows that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from services.core.contract.use_case import BinaryClassification, Regression
from services.training.stage import calibration


def interval_rows(rng, n: int, group: str | None = None, spread: float = 1.0) -> calibration.IntervalRows:
    """Outcomes with noise that the boosters' interval of plus and minus one underestimates."""
    value = rng.uniform(0, 10, n)
    outcome = value + rng.normal(0, spread, n)
    names = None if group is None else np.full(n, group)
    return calibration.IntervalRows(outcome, value, value - 1, value + 1, names)


def test_intervals_cover_what_they_promise_on_exchangeable_rows() -> None:
    rng, covered = np.random.default_rng(1), []
    for _ in range(1_000):
        here, new = interval_rows(rng, 20), interval_rows(rng, 200)
        widen = calibration.conformal_width(here.outcome, here.lower, here.upper, 0.9)
        covered.append(np.mean((new.outcome >= new.lower - widen) & (new.outcome <= new.upper + widen)))
    # the 19th of 20 scores covers 19/21; without the finite-sample correction the 18th would cover 18/21
    assert np.mean(covered) == pytest.approx(19 / 21, abs=0.01)


def test_intervals_that_are_too_wide_become_narrower() -> None:
    rng = np.random.default_rng(2)
    rows = interval_rows(rng, 2_000, spread=0.1)
    assert calibration.conformal_width(rows.outcome, rows.lower, rows.upper, 0.9) < -0.5


def test_too_few_rows_take_the_largest_miss() -> None:
    outcome = np.array([0.0, 5.0])
    assert calibration.conformal_width(outcome, np.zeros(2), np.zeros(2), 0.9) == 5.0


def test_each_group_large_enough_gets_its_own_width() -> None:
    rng = np.random.default_rng(3)
    calm, wild, few = (
        interval_rows(rng, 500, "calm", 0.5),
        interval_rows(rng, 500, "wild", 3.0),
        (interval_rows(rng, 10, "few", 9.0)),
    )
    rows = calibration.IntervalRows(*(np.concatenate(parts) for parts in zip(calm, wild, few, strict=True)))
    made = calibration.calibrate_regression(Regression("s", interval_by="kind"), "mae", rows, [], 100)
    assert set(made.groups) == {"calm", "wild"}
    assert made.groups["calm"] < made.otherwise < made.groups["wild"]


def test_variants_rows_count_only_for_groups_that_plain_rows_do_not_have() -> None:
    rng = np.random.default_rng(4)
    plain = interval_rows(rng, 500, "first", 1.0)
    variant = [interval_rows(rng, 500, "first", 9.0), interval_rows(rng, 500, "unknown", 5.0)]
    output = Regression("s", interval_by="kind")
    alone = calibration.calibrate_regression(output, "mae", plain, [], 100)
    both = calibration.calibrate_regression(output, "mae", plain, variant, 100)
    assert both.groups["first"] == alone.groups["first"]
    assert both.groups["unknown"] > both.groups["first"]


def test_a_steady_bias_is_shifted_away_and_noise_is_not() -> None:
    noise = np.random.default_rng(5).normal(0, 10, 2_000)
    assert calibration.bias_correction(noise + 8, np.median) == pytest.approx(8, abs=1)
    assert calibration.bias_correction(noise - np.median(noise), np.median) == 0.0


@pytest.mark.parametrize("distort", [lambda p: p**2, lambda p: p, np.sqrt], ids=["low", "right", "high"])
def test_probabilities_mean_what_they_say_after_calibration(distort) -> None:
    rng = np.random.default_rng(6)
    true = rng.beta(1, 2, 6_000)
    outcome = (rng.random(6_000) < true).astype(float)
    said = distort(true)
    made = calibration.calibrate_binary(BinaryClassification(1, 1), said[:3_000], outcome[:3_000])
    after = np.interp(said[3_000:], made.x, made.y)
    assert np.abs(after - true[3_000:]).mean() < 0.03


@pytest.mark.parametrize("rows", [60, 400, 5_000])
def test_calibration_keeps_the_order_of_rows_and_never_says_never(rows: int) -> None:
    rng = np.random.default_rng(7)
    raw = rng.uniform(0, 1, rows)
    outcome = (rng.random(rows) < raw**2).astype(float)
    for fit in calibration._CALIBRATORS.values():
        x, y = fit(raw, outcome)
        assert (np.diff(x) > 0).all()
        assert (np.diff(y) > 0).all()
    made = calibration.calibrate_binary(BinaryClassification(1, 1), raw, outcome)
    assert min(made.y) >= 0
    assert max(made.y) <= 1


def test_the_threshold_follows_the_costs() -> None:
    rng = np.random.default_rng(8)
    chance = rng.uniform(0, 1, 20_000)
    outcome = (rng.random(20_000) < chance).astype(float)
    even = calibration.least_cost_threshold(BinaryClassification(1, 1), chance, outcome)
    careful = calibration.least_cost_threshold(BinaryClassification(4, 1), chance, outcome)
    assert even == pytest.approx(0.5, abs=0.05)
    assert careful == pytest.approx(0.2, abs=0.05)


def test_a_slice_of_one_kind_still_gives_a_threshold() -> None:
    made = calibration.calibrate_binary(BinaryClassification(1, 1), np.linspace(0.1, 0.4, 100), np.zeros(100))
    assert 0.0 <= made.threshold <= 1.0


def test_class_probabilities_that_are_too_sure_become_less_so() -> None:
    rng = np.random.default_rng(9)
    true = rng.dirichlet([1, 1, 1], 8_000)
    outcome = np.array([rng.choice(3, p=p) for p in true])
    sharp = true**3 / (true**3).sum(axis=1, keepdims=True)
    made = calibration.calibrate_multi_class(sharp, outcome)
    assert made.temperature == pytest.approx(3, abs=0.3)
    np.testing.assert_allclose(made.bias, 0, atol=0.15)


def test_probabilities_that_mean_what_they_say_are_left_alone() -> None:
    """A map chosen by chance would carry one slice's luck into the next ones."""
    changed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        raw = rng.beta(1.0, 3.0, 3_000)
        outcome = (rng.random(3_000) < raw).astype(np.float64)
        made = calibration.calibrate_binary(BinaryClassification(2.0, 1.0), raw, outcome)
        changed += made.x != [0.0, 1.0]
    assert changed <= 6
