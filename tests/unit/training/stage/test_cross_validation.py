"""A crossed split: small data is judged whole, each row by boosters that never saw its group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.contract import columns as column_tools
from services.core.contract.use_case import BoostedTrees, Booster, EvaluationSlice, Regression, Split, UseCase
from services.core.params import Evaluate, Gate, Train
from services.core.scoring.scored_predictions import predict_with_model, score_variants
from services.training.evaluation.evaluate import evaluate
from services.training.evaluation.test_set import predict_out_of_fold
from services.training.gate.compare import compare_models
from services.training.stage.splitting import cross_validation_folds
from services.training.stage.train import train
from tests.toy.bundles import make_examples
from tests.toy.declaration import USE_CASE as TOY

pytestmark = pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")  # the toy's, without labels

FOLDS, REPEATS = 4, 2
_DEEP = {"max_depth": 9, "eta": 0.5, "min_child_weight": 0, "lambda": 0}


def crossed() -> UseCase:
    """The toy's seconds alone, learned by trees that know every row they saw by heart."""
    seconds = TOY.target("seconds")
    output = Regression("s", interval_by="letter", minimum=0.0)
    learner = BoostedTrees(members=(Booster("reg:squarederror", 40, _DEEP),))
    target = replace(seconds, output=output, learner=learner, split=None, metric="rmse", guardrails=())
    return replace(
        TOY,
        modelling=replace(
            TOY.modelling,
            targets=(target,),
            split=Split("cross", folds=FOLDS, repeats=REPEATS),
            input_scenarios=(),
            evaluation_slices=(EvaluationSlice("seconds_letter", "seconds", "kind", "letter"),),
        ),
        package="tests.toy",
    )


CROSSED = crossed()


@pytest.fixture(scope="module")
def noise() -> pd.DataFrame:
    """Examples whose label is chance: whoever predicts it well has seen it."""
    examples = make_examples(500)
    examples["seconds"] = np.random.default_rng(4).normal(600, 100, len(examples))
    return examples


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, noise: pd.DataFrame) -> Path:
    folder = tmp_path_factory.mktemp("crossed") / "bundle"
    return train(CROSSED, noise, {}, {}, params=Train(folds=2, minimum_group=30), folder=folder, simulated=True)


def rmse(bundle: Path, frame: pd.DataFrame, *, unseen: bool) -> float:
    predictor = Predictor(CROSSED, bundle)
    ask = predict_out_of_fold(predictor, frame) if unseen else predict_with_model(predictor)
    found = score_variants(CROSSED, frame, {}, ask)[0]
    value: Any = found.value
    return float(np.sqrt(np.mean((value.value - found.label) ** 2)))


def test_every_part_of_every_repetition_has_a_booster(bundle: Path) -> None:
    item = Predictor(CROSSED, bundle).manifest.targets["seconds"]
    assert len(item.members) == len(set(item.left_out)) == FOLDS * REPEATS


def test_rows_are_judged_by_boosters_that_never_saw_them(bundle: Path, noise: pd.DataFrame) -> None:
    """The served model knows these rows by heart; the judged one can do no better than chance."""
    spread = float(noise["seconds"].std())
    assert rmse(bundle, noise, unseen=False) < 0.6 * spread
    assert rmse(bundle, noise, unseen=True) > spread


def test_a_group_keeps_its_part_whatever_else_there_is(noise: pd.DataFrame) -> None:
    """So a champion of last month is judged on this month's rows as honestly as the challenger."""
    whole = cross_validation_folds(CROSSED, noise, FOLDS, REPEATS)
    some = np.random.default_rng(0).permutation(len(noise))[:200]
    assert np.array_equal(
        cross_validation_folds(CROSSED, noise.iloc[some].reset_index(drop=True), FOLDS, REPEATS), whole[:, some]
    )
    assert not np.array_equal(whole[0], whole[1])  # each repetition cuts anew
    for repeat in whole:
        assert noise.assign(part=repeat).groupby(TOY.data.group_column)["part"].nunique().max() == 1


def test_intervals_without_quantile_boosters_keep_their_promise(
    tmp_path: Path, bundle: Path, noise: pd.DataFrame
) -> None:
    report = evaluate(CROSSED, noise, {}, bundle=bundle, params=Evaluate(), folder=tmp_path / "evaluation")
    assert report["metrics"]["seconds"]["coverage_90"] == pytest.approx(0.9, abs=0.02)
    new = make_examples(500, seed=99)
    new["seconds"] = np.random.default_rng(5).normal(600, 100, len(new))
    columns = column_tools.from_frame(CROSSED.serving.request, new)
    value: Any = Predictor(CROSSED, bundle).predict(columns, {}).values["seconds"]
    covered = (new["seconds"] >= value.lower) & (new["seconds"] <= value.upper)
    assert covered.mean() > 0.87


def test_the_card_says_how_it_was_judged(tmp_path: Path, bundle: Path, noise: pd.DataFrame) -> None:
    evaluate(CROSSED, noise, {}, bundle=bundle, params=Evaluate(), folder=tmp_path / "evaluation")
    card = (tmp_path / "evaluation" / "model_card.md").read_text()
    assert "repeated cross-validation" in card
    assert f"Cross-validated {REPEATS} times in {FOLDS} parts" in card


def test_parts_of_the_rows_are_reported_under_their_own_name(tmp_path: Path, bundle: Path, noise: pd.DataFrame) -> None:
    report = evaluate(CROSSED, noise, {}, bundle=bundle, params=Evaluate(), folder=tmp_path / "evaluation")
    assert set(report["metrics"]) == {"seconds", "seconds_letter"}
    assert report["metrics"]["seconds"]["rmse"] != report["metrics"]["seconds_letter"]["rmse"]


def test_the_gate_refuses_a_model_that_only_knows_its_rows_by_heart(bundle: Path, noise: pd.DataFrame) -> None:
    decision = compare_models(Predictor(CROSSED, bundle), None, noise, {}, Gate(bootstrap=200))
    assert decision.outcome == "refused"


def test_fit_sees_no_label_of_a_crossed_target(
    tmp_path: Path, noise: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its arrays are shared by all boosters, so what it learned from a label would tell the others."""
    features = CROSSED.features
    seen: list[bool] = []
    plain = features.fit

    def watched(columns: Any, labels: Mapping[str, Any], reference: Any, context: Any) -> Any:
        seen.append(bool(np.isnan(labels["seconds"]).all()))
        return plain(columns, labels, reference, context)

    monkeypatch.setattr(features, "fit", watched)
    train(CROSSED, noise, {}, {}, params=Train(folds=2), folder=tmp_path / "bundle", simulated=True)
    assert seen
    assert all(seen)
