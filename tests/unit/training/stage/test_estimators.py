"""Learners of other libraries: scikit-learn and LightGBM, from training to gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.bundle.predictor import Predictor
from services.core.contract import columns as column_tools
from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    OnnxEstimator,
    RegressionPrediction,
    Split,
    TargetPrediction,
    UseCase,
)
from services.core.errors import VigieError
from services.core.params import Evaluate, Gate, Train
from services.training.evaluation.evaluate import evaluate
from services.training.gate.compare import compare_models
from services.training.stage import estimators
from services.training.stage.boosting import TrainingRows
from services.training.stage.splitting import fold_models
from services.training.stage.train import train
from tests.toy.bundles import make_examples
from tests.toy.declaration import ToyRequest
from tests.toy.estimators import ESTIMATORS, LEARNERS, imputed_ridge, with_learners


def fitted(use_case: UseCase, examples: pd.DataFrame, folder: Path) -> Path:
    return train(use_case, examples, {}, {}, params=Train(folds=2, minimum_group=30), folder=folder, simulated=True)


def numbers(value: TargetPrediction) -> np.ndarray:
    if isinstance(value, RegressionPrediction):
        return np.column_stack([value.value, value.lower, value.upper])
    return np.asarray(value.probability if isinstance(value, BinaryPrediction) else value.probabilities)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, examples: pd.DataFrame) -> Predictor:
    return Predictor(ESTIMATORS, fitted(ESTIMATORS, examples, tmp_path_factory.mktemp("estimators") / "bundle"))


def test_the_bundle_holds_graphs_alone_and_says_what_they_were(trained: Predictor) -> None:
    of_targets = sorted(
        p.relative_to(trained.folder / "targets").as_posix() for p in trained.folder.rglob("targets/*/*")
    )
    assert of_targets == [
        f"{t}/{f}" for t in ("late", "seconds", "size") for f in ("calibration.json", "member-0.onnx")
    ]
    made_by = {name: item.estimator.rpartition(".")[2] for name, item in trained.manifest.targets.items()}
    assert made_by == {"seconds": "Ridge", "late": "LGBMClassifier", "size": "LogisticRegression"}


def test_one_row_alone_equals_the_same_row_in_a_batch_bit_for_bit(trained: Predictor) -> None:
    later = make_examples(300, seed=9)
    later.loc[later.index[::7], "town"] = None
    columns = column_tools.from_frame(ToyRequest, later)
    batch = trained.predict(columns, {}).values
    for index in range(len(later)):
        alone = trained.predict(column_tools.select_rows(columns, slice(index, index + 1)), {}).values
        for name in batch:
            assert numbers(alone[name])[0].tobytes() == numbers(batch[name])[index].tobytes()


def test_intervals_cover_what_they_promise_and_probabilities_sum_to_one(trained: Predictor) -> None:
    later = make_examples(600, seed=9)
    values = trained.predict(column_tools.from_frame(ToyRequest, later), {}).values
    seconds, size = values["seconds"], values["size"]
    assert isinstance(seconds, RegressionPrediction)
    assert isinstance(size, MultiClassPrediction)
    covered = (later["seconds"] >= seconds.lower) & (later["seconds"] <= seconds.upper)
    assert 0.85 < covered.mean() < 0.95
    assert np.allclose(size.probabilities.sum(axis=1), 1.0)
    assert np.abs(seconds.value - later["seconds"]).mean() < 60


def test_the_same_rows_give_the_same_bundle(trained: Predictor, examples: pd.DataFrame, tmp_path: Path) -> None:
    assert bundle_hash(read_manifest(fitted(ESTIMATORS, examples, tmp_path / "again"))) == trained.hash


def test_a_changed_graph_is_refused(examples: pd.DataFrame, tmp_path: Path) -> None:
    bundle = fitted(ESTIMATORS, examples, tmp_path / "bundle")
    with (bundle / "targets" / "late" / "member-0.onnx").open("ab") as file:
        file.write(b" ")
    with pytest.raises(VigieError, match="hash differs"):
        Predictor(ESTIMATORS, bundle)


def test_importance_is_what_is_lost_when_a_fields_values_are_shuffled(trained: Predictor) -> None:
    shares = pd.read_json(trained.folder / "importance.json", orient="index").loc["seconds"]
    assert shares.idxmax() == "distance"
    assert shares.sum() == pytest.approx(1.0, abs=1e-5)


def test_they_are_evaluated_and_pass_the_gate_as_boosters_do(
    trained: Predictor, bundle: Path, examples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.training.evaluation.plots.target_plots", lambda *_: None)  # seconds of drawing
    evaluate(ESTIMATORS, examples, {}, bundle=trained.folder, params=Evaluate(), folder=tmp_path / "evaluation")
    card = (tmp_path / "evaluation" / "model_card.md").read_text()
    assert "lightgbm.sklearn.LGBMClassifier, converted to ONNX" in card
    frame = pd.read_parquet(tmp_path / "evaluation" / "test.parquet")
    params = Gate(bootstrap=400, minimum_rows=50, max_latency_ratio=1_000)
    decision = compare_models(trained, Predictor(with_learners(), bundle), frame, {}, params)
    assert decision.deciding is not None
    assert decision.deciding.measured.new < decision.deciding.measured.old  # seconds grow along a line here
    assert 0 < decision.latency_ms < params.max_latency_ms


def test_cross_validation_trains_one_for_each_part() -> None:
    crossed = replace(ESTIMATORS, modelling=replace(ESTIMATORS.modelling, split=Split("cross", folds=2, repeats=1)))
    models = fold_models(crossed, crossed.target("late"))
    assert [(model.name, model.left_out) for model in models] == [("member-0-0-0", (0, 0)), ("member-0-0-1", (0, 1))]
    assert all(model.booster is LEARNERS["late"] for model in models)


def test_a_factory_that_cannot_be_used_is_refused_in_words() -> None:
    for learner in (
        OnnxEstimator("sklearn.linear_model:NoSuchThing"),
        OnnxEstimator("no_such_library:Model"),
        OnnxEstimator("sklearn.linear_model:Ridge", {"no_such_parameter": 1}),
        OnnxEstimator(dict),
    ):
        with pytest.raises(VigieError, match="cannot be made"):
            estimators.make_estimator(learner)


def test_what_does_not_convert_is_refused_in_words(examples: pd.DataFrame, tmp_path: Path) -> None:
    odd = with_learners(late=OnnxEstimator("sklearn.semi_supervised:LabelSpreading"))
    target = odd.target("late")
    assert isinstance(target.learner, OnnxEstimator)
    matrix = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    rows = TrainingRows(matrix, (matrix[:, 0] > 0).astype(float), np.ones(60))
    estimator = estimators.fit_estimator(target, target.learner, rows, 1)
    with pytest.raises(VigieError, match="does not convert to ONNX"):
        estimators.save_estimator(target, estimator, "member-0", tmp_path, matrix)


def test_a_conversion_that_gives_other_outputs_is_refused(tmp_path: Path) -> None:
    """A forest of scikit-learn sends missing values where it learned to; its conversion does not."""
    target = with_learners(**LEARNERS).target("seconds")
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(400, 2)).astype(np.float32)
    label = matrix[:, 0].astype(np.float64) * 100
    matrix[generator.random(400) < 0.3, 0] = np.nan
    rows = TrainingRows(matrix, label, np.ones(400))
    learner = OnnxEstimator("sklearn.ensemble:RandomForestRegressor", {"n_estimators": 5})
    estimator = estimators.fit_estimator(target, learner, rows, 1)
    with pytest.raises(VigieError, match="differs from the native one"):
        estimators.save_estimator(target, estimator, "member-0", tmp_path, matrix)


def test_weights_that_an_estimator_does_not_take_are_refused() -> None:
    target = with_learners(**LEARNERS).target("seconds")
    matrix = np.ones((10, 1), dtype=np.float32)
    learner = OnnxEstimator("sklearn.neighbors:KNeighborsRegressor")
    rows = TrainingRows(matrix, np.arange(10.0), np.linspace(0.1, 1, 10))
    with pytest.raises(VigieError, match="takes no weights"):
        estimators.fit_estimator(target, learner, rows, 1)


def test_a_class_without_rows_is_refused() -> None:
    target = with_learners(**LEARNERS).target("size")
    rows = TrainingRows(np.ones((10, 2), dtype=np.float32), np.arange(10.0) % 2, np.ones(10))
    with pytest.raises(VigieError, match=r"no row of the classes \[2\]"):
        estimators.fit_estimator(target, LEARNERS["size"], rows, 1)


def test_seed_and_threads_are_the_runs() -> None:
    made = estimators.make_estimator(OnnxEstimator("lightgbm:LGBMRegressor", {"n_jobs": 8}), seed=5)
    assert (made.random_state, made.n_jobs) == (5, 1)
    fixed = estimators.make_estimator(OnnxEstimator("lightgbm:LGBMRegressor", {"random_state": 3}), seed=5)
    assert fixed.random_state == 3
    assert estimators.make_estimator(OnnxEstimator(imputed_ridge), seed=5).named_steps["ridge"].random_state == 5
