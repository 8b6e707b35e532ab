"""The optional search keeps to its budget and to the training slice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.params import Search, Train
from services.training.stage import hyperparameter_search
from services.training.stage.train import train
from tests.toy.declaration import USE_CASE


def train_with(examples: pd.DataFrame, folder: Path, **budget: float) -> Path:
    params = Train(folds=2, minimum_group=30, search=Search(**budget))
    return train(USE_CASE, examples, {}, {}, params=params, folder=folder, simulated=True)


def test_three_trials_are_three_and_the_choice_is_in_the_manifest(
    examples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, dict]] = []
    original = hyperparameter_search._loss

    def counted(target, early, late, seed):
        tried.append((target.name, dict(target.learner.members[0].parameters)))
        return original(target, early, late, seed)

    monkeypatch.setattr(hyperparameter_search, "_loss", counted)
    data = read_manifest(train_with(examples, tmp_path / "b", trials=3)).data
    assert [name for name, _ in tried] == ["seconds"] * 3  # the only target that bounds a search
    assert tried[0][1] == dict(USE_CASE.modelling.targets[0].learner.members[0].parameters)  # the declared ones first
    for _, parameters in tried:
        assert 2 <= parameters["max_depth"] <= 5
        assert 0.05 <= parameters["eta"] <= 0.3
    chosen = {key: value for key, value in data.items() if key.startswith("seconds.member")}
    assert chosen == {} or {"seconds.member-0.eta", "seconds.member-1.eta"} <= set(chosen)


def test_the_same_trials_find_the_same(examples: pd.DataFrame, tmp_path: Path) -> None:
    one, two = (train_with(examples, tmp_path / name, trials=2) for name in ("one", "two"))
    assert bundle_hash(read_manifest(one)) == bundle_hash(read_manifest(two))


def test_time_that_is_up_ends_the_search(
    examples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(hyperparameter_search, "_loss", lambda target, *_: tried.append(target.name) or 1.0)
    train_with(examples, tmp_path / "b", trials=100_000, seconds=0.2)
    assert 1 <= len(tried) < 10_000


def test_trials_are_compared_on_the_latest_training_rows(
    examples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    monkeypatch.setattr(
        hyperparameter_search, "_loss", lambda _, early, late, __: seen.append((early.label, late.label)) or 1.0
    )
    train_with(examples, tmp_path / "b", trials=1)
    early, late = seen[0]
    training = examples["seconds"].to_numpy()[:1_050]
    np.testing.assert_array_equal(early, training[: len(early)])
    np.testing.assert_array_equal(late, training[len(early) :])
    assert len(late) == pytest.approx(210, abs=2)


def test_parameters_go_to_the_members_alone() -> None:
    target = hyperparameter_search.with_parameters(USE_CASE.modelling.targets[0], {"max_depth": 5, "rounds": 7})
    assert [member.num_boost_round for member in target.learner.members] == [7, 7]
    assert all(member.parameters["max_depth"] == 5 for member in target.learner.members)
    assert replace(target.learner, members=()) == replace(USE_CASE.modelling.targets[0].learner, members=())


def test_whole_numbers_stay_whole_however_their_bounds_are_written(examples: pd.DataFrame, tmp_path: Path) -> None:
    first = USE_CASE.modelling.targets[0]
    bounds = {"max_depth": (2.0, 5.0), "rounds": (5.0, 9.0), "subsample": (0.5, 1.0)}
    bounded = replace(first, learner=replace(first.learner, search=bounds))
    use_case = replace(
        USE_CASE, modelling=replace(USE_CASE.modelling, targets=(bounded, *USE_CASE.modelling.targets[1:]))
    )
    params = Train(folds=2, search=Search(trials=4))
    train(use_case, examples, {}, {}, params=params, folder=tmp_path / "b", simulated=True)
