"""No group is on two sides of a cut, and time runs one way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from services.core.contract.use_case import Split
from services.core.errors import VigieError
from services.training.stage.splitting import CALIBRATE, TEST, TRAIN, assign_folds, assign_splits, split_targets
from tests.toy.declaration import USE_CASE

BY_HASH = replace(USE_CASE, modelling=replace(USE_CASE.modelling, split=Split("hash", calibrate=0.2, test=0.2)))


@pytest.fixture
def incidents(examples: pd.DataFrame) -> pd.DataFrame:
    """Rows that hang together in threes, the last of each much later than the first."""
    frame = examples.copy()
    frame["delivery_id"] = [f"I{number // 3}" for number in range(len(frame))]
    frame.loc[frame.index[2::3], "event_time"] += pd.Timedelta(days=2)
    return frame.sample(frac=1, random_state=3).reset_index(drop=True)


@pytest.mark.parametrize("use_case", [USE_CASE, BY_HASH], ids=["time", "hash"])
def test_a_group_never_straddles_a_cut(use_case, incidents: pd.DataFrame) -> None:
    slices = assign_splits(use_case, incidents, use_case.modelling.split)
    assert pd.Series(slices).groupby(incidents["delivery_id"]).nunique().max() == 1
    assert set(slices) == {TRAIN, CALIBRATE, TEST}


def test_a_group_is_in_one_fold(incidents: pd.DataFrame) -> None:
    folds = assign_folds(USE_CASE, incidents, 5, seed=7)
    assert pd.Series(folds).groupby(incidents["delivery_id"]).nunique().max() == 1
    assert set(folds) == set(range(5))


def test_by_time_the_past_trains_the_next_slice_calibrates_and_the_last_tests(incidents: pd.DataFrame) -> None:
    slices = assign_splits(USE_CASE, incidents, Split("time", calibrate=0.15, test=0.15))
    began = incidents.groupby("delivery_id")["event_time"].transform("min")
    assert began[slices == TRAIN].max() < began[slices == CALIBRATE].min()
    assert began[slices == CALIBRATE].max() < began[slices == TEST].min()
    shares = np.bincount(slices) / len(slices)
    np.testing.assert_allclose(shares, [0.7, 0.15, 0.15], atol=0.01)


def test_within_separate_periods_each_period_is_cut_on_its_own(examples: pd.DataFrame) -> None:
    second = examples.assign(event_time=examples["event_time"] + pd.Timedelta(days=2_000), year="2029")
    second["delivery_id"] += "-later"
    both = pd.concat([examples.assign(year="2024"), second], ignore_index=True)
    slices = assign_splits(USE_CASE, both, Split("time", calibrate=0.1, test=0.1, within="year"))
    for year in ("2024", "2029"):
        assert np.mean(slices[both["year"] == year] == TEST) == pytest.approx(0.1, abs=0.01)


def test_by_hash_copies_of_a_request_stay_together(examples: pd.DataFrame) -> None:
    copies = examples.assign(delivery_id=examples["delivery_id"] + "-copy")
    both = pd.concat([examples, copies], ignore_index=True)
    slices = assign_splits(BY_HASH, both, BY_HASH.modelling.split)
    assert (slices[: len(examples)] == slices[len(examples) :]).all()


def test_by_hash_new_rows_move_no_old_row(examples: pd.DataFrame) -> None:
    fewer = assign_splits(BY_HASH, examples.head(900), BY_HASH.modelling.split)
    assert (assign_splits(BY_HASH, examples, BY_HASH.modelling.split)[:900] == fewer).all()


def test_the_order_of_rows_changes_nothing(incidents: pd.DataFrame) -> None:
    shuffled = incidents.sample(frac=1, random_state=5)
    for use_case in (USE_CASE, BY_HASH):
        straight = assign_splits(use_case, incidents, use_case.modelling.split)
        assert (assign_splits(use_case, shuffled, use_case.modelling.split) == straight[shuffled.index]).all()


def test_a_target_can_have_a_split_of_its_own(examples: pd.DataFrame) -> None:
    own = replace(USE_CASE.modelling.targets[2], split=Split("hash", calibrate=0.3, test=0.3))
    slices = split_targets(
        replace(USE_CASE, modelling=replace(USE_CASE.modelling, targets=(*USE_CASE.modelling.targets[:2], own))),
        examples,
    )
    assert (slices["seconds"] == slices["late"]).all()
    assert (slices["size"] != slices["late"]).any()


def test_too_few_rows_are_an_error_that_says_how_many(examples: pd.DataFrame) -> None:
    with pytest.raises(VigieError, match="too few examples of seconds"):
        split_targets(USE_CASE, examples.head(4))


def test_examples_without_a_time_cannot_be_cut_by_time(examples: pd.DataFrame) -> None:
    with pytest.raises(VigieError, match="event_time"):
        assign_splits(USE_CASE, examples.drop(columns="event_time"), USE_CASE.modelling.split)
