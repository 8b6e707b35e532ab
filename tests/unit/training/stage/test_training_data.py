"""Out-of-fold features: what a row is encoded with was not learned from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.contract import columns as column_tools
from services.core.params import Train
from services.training.stage.splitting import TRAIN, assign_folds
from services.training.stage.training_data import TrainingContext, out_of_fold, prepare_training_data, training_rows
from tests.toy.declaration import USE_CASE


@pytest.fixture
def run(examples: pd.DataFrame, tmp_path: Path) -> TrainingContext:
    return TrainingContext(USE_CASE, prepare_training_data(USE_CASE, examples), {}, {}, Train(folds=3), tmp_path)


def training(run: TrainingContext) -> tuple[np.ndarray, dict, dict, np.ndarray]:
    rows = run.data.rows(TRAIN)
    folds = assign_folds(run.use_case, run.data.examples, run.params.folds, run.params.seed)[rows]
    return rows, column_tools.select_rows(run.data.columns, rows), run.data.labels_of(TRAIN, rows), folds


def test_a_rows_own_outcome_changes_nothing_in_its_features(run: TrainingContext) -> None:
    _, columns, labels, folds = training(run)
    before = out_of_fold(run, columns, labels, folds).matrices["all"]
    changed = {**labels, "seconds": labels["seconds"].copy()}
    changed["seconds"][folds == 0] += 5_000
    after = out_of_fold(run, columns, changed, folds).matrices["all"]
    np.testing.assert_array_equal(after[folds == 0], before[folds == 0])
    assert (after[folds == 1] != before[folds == 1]).any()


def test_rows_come_back_in_their_order(run: TrainingContext) -> None:
    _, columns, labels, folds = training(run)
    matrices = out_of_fold(run, columns, labels, folds).matrices
    np.testing.assert_array_equal(matrices["all"][:, 0], columns["distance"].astype(np.float32))


def test_no_outcome_of_the_calibration_and_test_slices_is_learned_from(run: TrainingContext, monkeypatch) -> None:
    seen: list[int] = []
    original = USE_CASE.features.fit
    monkeypatch.setattr(
        USE_CASE.features,
        "fit",
        lambda columns, *rest: (seen.append(columns["called_at"].max()), original(columns, *rest))[1],
    )
    rows, columns, labels, folds = training(run)
    out_of_fold(run, columns, labels, folds)
    assert len(seen) == 3
    assert max(seen) <= run.data.columns["called_at"][rows].max()


def test_a_variant_adds_its_rows_with_its_weight_to_its_target_alone(run: TrainingContext) -> None:
    rows, columns, labels, folds = training(run)
    made = out_of_fold(run, columns, labels, folds)
    seconds = training_rows(run, USE_CASE.target("seconds"), rows, labels["seconds"], made)
    late = training_rows(run, USE_CASE.target("late"), rows, labels["late"], made)
    assert len(seconds.label) == 2 * len(rows)
    assert set(seconds.weight[len(rows) :]) == {0.5}
    assert np.isnan(seconds.matrix[len(rows) :, 3]).all()
    assert len(late.label) == len(rows)


def test_a_variant_that_only_measures_is_not_learned_from(run: TrainingContext) -> None:
    measured = replace(
        USE_CASE,
        modelling=replace(
            USE_CASE.modelling, input_scenarios=(replace(USE_CASE.modelling.input_scenarios[0], training_weight=0.0),)
        ),
    )
    only = replace(run, use_case=measured)
    rows, columns, labels, folds = training(only)
    made = out_of_fold(only, columns, labels, folds)
    assert made.variants == {}
    assert len(training_rows(only, measured.target("seconds"), rows, labels["seconds"], made).label) == len(rows)


def test_threads_change_no_number(run: TrainingContext) -> None:
    _, columns, labels, folds = training(run)
    one = out_of_fold(replace(run, params=Train(folds=3, threads=1)), columns, labels, folds).matrices
    four = out_of_fold(replace(run, params=Train(folds=3, threads=4)), columns, labels, folds).matrices
    for name in one:
        np.testing.assert_array_equal(one[name], four[name])
