"""Hyperparameters that ``params.yaml`` puts in place of the declared ones."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from services.core import use_case_registry
from services.core.bundle.manifest import read_manifest
from services.core.contract.use_case import BoostedTrees, LateFusion, MultiClass, OnnxEstimator, Target
from services.core.errors import VigieError
from services.core.params import LearnerOverride, Train, load_params, write_learners
from services.core.settings import CHECKOUT
from services.training.stage.hyperparameter_search import found_hyperparameters, with_overrides
from services.training.stage.train import train
from tests.toy.declaration import USE_CASE
from tests.toy.estimators import ESTIMATORS


def override(**values: Any) -> LearnerOverride:
    return LearnerOverride.model_validate(values)


def fusion() -> Target:
    declared = (use_case_registry.get(name) for name in use_case_registry.names())
    return next(t for use_case in declared for t in use_case.modelling.targets if isinstance(t.learner, LateFusion))


def test_members_of_boosted_trees_get_them_and_the_interval_does_not() -> None:
    changed = with_overrides(USE_CASE, {"seconds": override(num_boost_round=7, parameters={"max_depth": 5})})
    learner, before = changed.target("seconds").learner, USE_CASE.target("seconds").learner
    assert isinstance(learner, BoostedTrees)
    assert isinstance(before, BoostedTrees)
    assert [(m.num_boost_round, m.parameters["max_depth"], m.parameters["eta"]) for m in learner.members] == [
        (7, 5, 0.2)
    ] * 2
    assert (learner.lower, learner.upper) == (before.lower, before.upper)
    assert changed.target("late") == USE_CASE.target("late")


def test_estimators_and_modality_models_get_theirs() -> None:
    ridge = with_overrides(ESTIMATORS, {"seconds": override(parameters={"alpha": 9})}).target("seconds").learner
    assert isinstance(ridge, OnnxEstimator)
    assert ridge.parameters == {"alpha": 9}
    target = fusion()
    assert isinstance(target.learner, LateFusion)
    assert isinstance(target.output, MultiClass)
    first = target.learner.modality_models[0].name
    use_case = replace(USE_CASE, modelling=replace(USE_CASE.modelling, targets=(target,)))
    changed = (
        with_overrides(use_case, {target.name: override(parameters={first: {"ridge": 3.5}})})
        .modelling.targets[0]
        .learner
    )
    assert isinstance(changed, LateFusion)
    assert changed.modality_models[0].ridge == 3.5
    assert changed.modality_models[1:] == target.learner.modality_models[1:]


@pytest.mark.parametrize(
    ("learners", "problem"),
    [
        ({"second": override()}, "toy has no target second"),
        ({"late": override(parameters={"max_deph": 3})}, "late has no parameter max_deph"),
        ({"late": override(parameters={"eta": {"eta": 3}})}, "late has no parameter eta"),
        ({"seconds": override(parameters={"alfa": 3})}, "cannot be made"),
        ({"seconds": override(num_boost_round=3)}, "has no num_boost_round"),
    ],
)
def test_what_a_learner_does_not_have_is_refused_in_words(learners: Any, problem: str) -> None:
    use_case = ESTIMATORS if "seconds" in learners else USE_CASE
    with pytest.raises(VigieError, match=problem):
        with_overrides(use_case, learners)


def test_they_decide_on_the_bundle_and_stand_in_its_manifest(examples: pd.DataFrame, tmp_path: Path) -> None:
    params = Train(folds=2, minimum_group=30, learners={"late": override(num_boost_round=3)})
    folder = train(USE_CASE, examples, {}, {}, params=params, folder=tmp_path / "bundle", simulated=True)
    assert read_manifest(folder).data["late.member-0.num_boost_round"] == 3


def test_what_a_search_found_is_written_and_read_again(tmp_path: Path) -> None:
    data = {"seconds.member-0.eta": 0.11, "seconds.member-1.eta": 0.11, "seconds.train.rows": 9}
    found = found_hyperparameters(USE_CASE, data)
    assert found == {"seconds": override(parameters={"eta": 0.11})}
    shutil.copy(CHECKOUT / "params.yaml", tmp_path)
    write_learners(tmp_path, "wine_quality", found)
    write_learners(tmp_path, "wine_quality", {"seconds": override(num_boost_round=40)})
    assert load_params(tmp_path).of("wine_quality").train.learners == {
        "seconds": override(num_boost_round=40, parameters={"eta": 0.11})
    }
    before = (CHECKOUT / "params.yaml").read_text()
    assert (tmp_path / "params.yaml").read_text().startswith(before[: before.index("use_cases")])


def test_dvc_can_set_one_on_its_command_line(tmp_path: Path) -> None:
    """``dvc exp run -S '+use_cases.wine_quality.train.learners...=3'``."""
    from dvc.utils.hydra import apply_overrides

    shutil.copy(CHECKOUT / "params.yaml", tmp_path)
    apply_overrides(tmp_path / "params.yaml", ["+use_cases.wine_quality.train.learners.quality.parameters.max_depth=3"])
    assert load_params(tmp_path).of("wine_quality").train.learners["quality"].parameters == {"max_depth": 3}
