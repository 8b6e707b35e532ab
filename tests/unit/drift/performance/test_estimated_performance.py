"""What the error is likely to be where nothing was reported yet."""

from __future__ import annotations

import numpy as np
import pytest

from services.core import use_case_registry
from services.core.contract.use_case import BinaryClassification, BinaryPrediction, RegressionPrediction, Target
from services.drift.performance.comparison import LabelledPredictions, estimated_performance, live_metrics


def sample(target: Target, seed: int, count: int) -> LabelledPredictions:
    """Calibrated predictions: what is left of errors is chance, which a calibration error counts as error."""
    drawn = np.random.default_rng(seed)
    day = drawn.integers(0, 14, count)
    if isinstance(target.output, BinaryClassification):
        chance = drawn.uniform(0.05, 0.6, count)
        label = (drawn.uniform(size=count) < chance).astype(np.float64)
        return LabelledPredictions(target, label, BinaryPrediction(chance, 0.5), day)
    center = drawn.uniform(200, 500, count)
    value = RegressionPrediction(center, center - 80, center + 80)
    return LabelledPredictions(target, center + drawn.normal(0, 50, count), value, day)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [60, 600])
@pytest.mark.parametrize("name", ["over_360s", "attendance_seconds"])
def test_an_interval_contains_its_value(name: str, count: int, seed: int) -> None:
    target = use_case_registry.get("fire_response").target(name)
    for entry in live_metrics(sample(target, seed, count), seed):
        assert entry["low"] <= entry["value"] <= entry["high"], entry
        assert entry["low"] >= 0, entry


TARGET = use_case_registry.get("fire_response").target("over_360s")
UNSURE, SURE = 0.5, 0.04


def test_calls_like_the_frozen_rows_are_expected_to_be_as_wrong_though_some_rows_have_no_label() -> None:
    """A label may be missing because the target does not apply, and answers to such calls are less sure."""
    frozen = BinaryPrediction(np.array([UNSURE] * 200 + [SURE] * 200), 0.5)
    label = np.array([np.nan] * 200 + [0.0] * 192 + [1.0] * 8)
    silent = BinaryPrediction(np.array([UNSURE] * 50 + [SURE] * 50), 0.5)
    found = estimated_performance(TARGET, silent, frozen=frozen, frozen_label=label, known=None, significance=0.001)
    assert found["value"] == pytest.approx(found["reference"])


def test_less_sure_answers_are_expected_to_be_wrong_more_often() -> None:
    frozen = BinaryPrediction(np.array([SURE] * 200), 0.5)
    label = np.array([0.0] * 192 + [1.0] * 8)
    found = estimated_performance(
        TARGET,
        BinaryPrediction(np.full(80, 0.2), 0.5),
        frozen=frozen,
        frozen_label=label,
        known=None,
        significance=0.001,
    )
    assert found["value"] > 3 * found["reference"]
    assert found["surely_above"]
    assert (found["count"], found["estimated"]) == (80, True)


def test_a_few_unsure_answers_more_than_usual_may_be_chance() -> None:
    """One answer in twenty is usually unsure; among eighty calls eight are: a third more error, and no proof."""
    frozen = BinaryPrediction(np.array([SURE] * 380 + [UNSURE] * 20), 0.5)
    label = np.array([0.0, 1.0] * 10 + [0.0] * 380)
    silent = BinaryPrediction(np.array([SURE] * 72 + [UNSURE] * 8), 0.5)
    found = estimated_performance(TARGET, silent, frozen=frozen, frozen_label=label, known=None, significance=0.001)
    assert found["value"] > 1.2 * found["reference"]
    assert not found["surely_above"]
