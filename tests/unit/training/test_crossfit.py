"""Out-of-fold features: what a row is encoded with was not learned from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.params import Train
from services.core.usecases import columns as column_tools
from services.training.crossfit import out_of_fold, training_rows
from services.training.prepared import Run, prepare
from services.training.slices import TRAIN, fold_numbers
from tests.toy import features
from tests.toy.declaration import USE_CASE


@pytest.fixture
def run(examples: pd.DataFrame, tmp_path: Path) -> Run:
    return Run(USE_CASE, prepare(USE_CASE, examples), {}, {}, Train(folds=3), tmp_path)


def training(run: Run) -> tuple[np.ndarray, dict, dict, np.ndarray]:
    rows = run.data.rows(TRAIN)
    folds = fold_numbers(run.use_case, run.data.examples, run.params.folds, run.params.seed)[rows]
    return rows, column_tools.take(run.data.columns, rows), run.data.labels_of(TRAIN, rows), folds


def test_a_rows_own_outcome_changes_nothing_in_its_features(run: Run) -> None:
    _, columns, labels, folds = training(run)
    before = out_of_fold(run, columns, labels, folds).matrices["all"]
    changed = {**labels, "seconds": labels["seconds"].copy()}
    changed["seconds"][folds == 0] += 5_000
    after = out_of_fold(run, columns, changed, folds).matrices["all"]
    np.testing.assert_array_equal(after[folds == 0], before[folds == 0])
    assert (after[folds == 1] != before[folds == 1]).any()


def test_rows_come_back_in_their_order(run: Run) -> None:
    _, columns, labels, folds = training(run)
    matrices = out_of_fold(run, columns, labels, folds).matrices
    np.testing.assert_array_equal(matrices["all"][:, 0], columns["distance"].astype(np.float32))


def test_no_outcome_of_the_calibration_and_test_slices_is_learned_from(run: Run, monkeypatch) -> None:
    seen: list[int] = []
    original = features.fit
    monkeypatch.setattr(
        features, "fit", lambda columns, *rest: (seen.append(columns["called_at"].max()), original(columns, *rest))[1]
    )
    rows, columns, labels, folds = training(run)
    out_of_fold(run, columns, labels, folds)
    assert len(seen) == 3
    assert max(seen) <= run.data.columns["called_at"][rows].max()


def test_a_variant_adds_its_rows_with_its_weight_to_its_target_alone(run: Run) -> None:
    rows, columns, labels, folds = training(run)
    made = out_of_fold(run, columns, labels, folds)
    seconds = training_rows(run, USE_CASE.target("seconds"), rows, labels["seconds"], made)
    late = training_rows(run, USE_CASE.target("late"), rows, labels["late"], made)
    assert len(seconds.label) == 2 * len(rows)
    assert set(seconds.weight[len(rows) :]) == {0.5}
    assert np.isnan(seconds.matrix[len(rows) :, 3]).all()
    assert len(late.label) == len(rows)


def test_a_variant_that_only_measures_is_not_learned_from(run: Run) -> None:
    measured = replace(USE_CASE, variants=(replace(USE_CASE.variants[0], training_weight=0.0),))
    only = replace(run, use_case=measured)
    rows, columns, labels, folds = training(only)
    made = out_of_fold(only, columns, labels, folds)
    assert made.variants == {}
    assert len(training_rows(only, measured.target("seconds"), rows, labels["seconds"], made).label) == len(rows)


def test_threads_change_no_number(run: Run) -> None:
    _, columns, labels, folds = training(run)
    one = out_of_fold(replace(run, params=Train(folds=3, threads=1)), columns, labels, folds).matrices
    four = out_of_fold(replace(run, params=Train(folds=3, threads=4)), columns, labels, folds).matrices
    for name in one:
        np.testing.assert_array_equal(one[name], four[name])
