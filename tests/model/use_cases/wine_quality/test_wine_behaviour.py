"""How a trained ``wine_quality`` model behaves: on simulated wines, with its declared learners at a quarter of
their rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.contract import columns as column_tools
from services.core.contract.use_case import BoostedTrees, Target, UseCase
from services.core.params import Evaluate, Gate, Train
from services.core.raw_files.reader import read_folder
from services.core.scoring import score, score_baseline
from services.training.evaluation.evaluate import evaluate
from services.training.evaluation.test_set import frozen_test_set
from services.training.gate.compare import compare_models
from services.training.stage.train import train
from services.use_cases.wine_quality import raw, simulator
from services.use_cases.wine_quality.declaration import USE_CASE
from services.use_cases.wine_quality.request import WineRequest

pytestmark = pytest.mark.slow  # it trains models


def _quicker(target: Target) -> Target:
    members = tuple(
        replace(m, num_boost_round=m.num_boost_round // 4, parameters={**m.parameters, "eta": 0.12, "max_depth": 4})
        for m in target.learner.members
    )
    return replace(target, learner=BoostedTrees(members=members))


QUICK: UseCase = replace(
    USE_CASE,
    modelling=replace(USE_CASE.modelling, targets=tuple(_quicker(target) for target in USE_CASE.modelling.targets)),
)


def wines(folder: Path, *, seed: int, rows: int, drift: tuple[str, ...] = ()) -> pd.DataFrame:
    simulator.write(folder, seed=seed, rows=rows, start="2024-01-01", days=30, drift=drift)
    return raw.build_examples(read_folder("wine_quality", folder))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("wine-behaviour")
    known, new = wines(folder / "known", seed=1, rows=1_200), wines(folder / "new", seed=2, rows=800)
    train(QUICK, known, {}, {}, params=Train(folds=2, minimum_group=100), folder=folder / "bundle", simulated=True)
    report = evaluate(QUICK, known, {}, bundle=folder / "bundle", params=Evaluate(), folder=folder / "evaluation")
    return SimpleNamespace(
        predictor=Predictor(QUICK, folder / "bundle"), known=known, new=new, report=report, folder=folder
    )


def test_it_clearly_beats_the_average_on_new_wines(trained: Any) -> None:
    found, baseline = (score(trained.predictor, trained.new, {}), score_baseline(USE_CASE, trained.new, {}))
    for name in ("quality", "quality_red", "quality_white"):
        assert found["metrics"][name]["rmse"] < 0.85 * baseline["metrics"][name]["rmse"]
    assert found["metrics"]["grade"]["log_loss"] < baseline["metrics"]["grade"]["log_loss"] - 0.1


def test_cross_validation_promises_what_new_wines_keep(trained: Any) -> None:
    promised = trained.report["metrics"]["quality"]["rmse"]
    kept = score(trained.predictor, trained.new, {})["metrics"]["quality"]["rmse"]
    assert kept == pytest.approx(promised, rel=0.08)


def test_the_interval_covers_what_it_says_for_both_colours(trained: Any) -> None:
    found = score(trained.predictor, trained.new, {})["metrics"]
    for name in ("quality", "quality_red", "quality_white"):
        assert found[name]["coverage_90"] == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize(
    ("field", "worse", "better"), [("alcohol", 9.0, 12.5), ("volatile_acidity", 0.9, 0.25), ("sulphates", 0.4, 0.8)]
)
def test_what_makes_a_wine_better_raises_its_score(trained: Any, field: str, worse: float, better: float) -> None:
    columns = column_tools.from_frame(WineRequest, trained.new)
    scores = []
    for number in (worse, better):
        changed = {**columns, field: np.full(len(trained.new), number)}
        value: Any = trained.predictor.predict(changed, {}).values["quality"]
        scores.append(float(np.mean(value.value)))
    assert scores[1] > scores[0] + 0.05


def test_stricter_tasters_are_noticed_as_an_error(trained: Any, tmp_path: Path) -> None:
    drifted = wines(tmp_path, seed=3, rows=600, drift=("stricter-tasters",))
    before = score(trained.predictor, trained.new, {})["metrics"]["quality"]["rmse"]
    assert score(trained.predictor, drifted, {})["metrics"]["quality"]["rmse"] > before + 0.15


def test_the_gate_lets_it_past_the_baseline_and_a_worse_one_not_past_it(trained: Any) -> None:
    frame, gate = frozen_test_set(QUICK, trained.known), Gate(bootstrap=300)
    assert compare_models(trained.predictor, None, frame, {}, gate).promote
    blind = trained.known.assign(alcohol=10.0, volatile_acidity=0.4)  # its wines keep their names, and so their parts
    folder = train(QUICK, blind, {}, {}, params=Train(folds=2), folder=trained.folder / "blind", simulated=True)
    decision = compare_models(Predictor(QUICK, folder), trained.predictor, frame, {}, gate)
    assert not decision.promote


def test_the_gate_judges_every_wine(trained: Any) -> None:
    frame = frozen_test_set(QUICK, trained.known)
    assert len(frame) == len(trained.known)
    assert compare_models(trained.predictor, None, frame, {}, Gate(bootstrap=100)).deciding is not None
