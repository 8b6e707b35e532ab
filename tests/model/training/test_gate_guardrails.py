"""What the gate lets through and what not, with simulated models of known quality."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from benchmarks.gate_error_rates import CHAMPION_ERROR, SimulatedModel, calls, decide, error_for, promoted_share
from services.core.bundle.predictor import Prediction, Predictor
from services.core.contract.use_case import BinaryPrediction, RegressionPrediction
from services.core.params import Gate
from services.training.gate.compare import compare_models, failed_guardrails, resource_violations
from services.training.gate.decision import GuardrailCheck, MetricGain, clusters, metric_gain, resample
from tests.toy.declaration import USE_CASE

pytestmark = pytest.mark.slow  # it trains models

GATE = Gate(bootstrap=400, max_latency_ratio=1_000)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return calls(2_000, seed=1)


class Worse(SimulatedModel):
    """A challenger that is clearly better on the deciding metric and worse in one other way."""

    def __init__(self, folder: Path, way: str) -> None:
        super().__init__("challenger", 3, error_for(0.10), folder)
        self.way = way

    def predict(self, columns: Any, context: Any) -> Prediction:
        values, facts = super().predict(columns, context)
        seconds, late = values["seconds"], values["late"]
        assert isinstance(seconds, RegressionPrediction)
        assert isinstance(late, BinaryPrediction)
        if self.way == "other target":
            values["late"] = BinaryPrediction(0.7 * late.probability + 0.15, 0.4)
        elif self.way == "coverage":
            values["seconds"] = RegressionPrediction(seconds.value, seconds.lower + 40, seconds.upper - 40)
        elif self.way == "subgroup":
            off = np.where(columns["kind"] == "letter", 90.0, 0.0)
            values["seconds"] = RegressionPrediction(seconds.value + off, seconds.lower + off, seconds.upper + off)
        elif self.way == "variant" and (columns["town"] == "").all():
            values["seconds"] = RegressionPrediction(seconds.value + 80, seconds.lower - 80, seconds.upper + 80)
        elif self.way == "slow":
            np.linalg.svd(np.ones((400, 400)))
        return Prediction(values, facts)


def against_champion(challenger: SimulatedModel, frame: pd.DataFrame, gate: Gate = GATE) -> Any:
    champion = SimulatedModel("champion", 2, CHAMPION_ERROR, challenger.folder)
    return compare_models(cast("Predictor", challenger), cast("Predictor", champion), frame, {}, gate)


def test_a_better_model_passes_although_it_differs(tmp_path: Path, frame: pd.DataFrame) -> None:
    decision = against_champion(Worse(tmp_path, "in no way"), frame)
    assert decision.outcome == "passed"
    assert decision.deciding.measured.bound > 0


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("other target", "late brier is worse"),
        ("coverage", "seconds coverage_90 is worse"),
        ("subgroup", "seconds, kind letter mae is worse"),
        ("variant", "seconds_town_unknown mae is worse"),
    ],
)
def test_a_guard_refuses_what_got_worse(tmp_path: Path, frame: pd.DataFrame, way: str, said: str) -> None:
    few_letters = frame[(frame["kind"] == "parcel") | (frame.index % 5 == 0)].reset_index(drop=True)
    decision = against_champion(Worse(tmp_path, way), few_letters)
    assert decision.outcome == "refused"
    assert said in " ".join(decision.reasons)
    assert decision.deciding.measured.gain > 0, "it is the guard that refuses"


def test_a_model_slower_than_the_limit_is_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    decision = against_champion(Worse(tmp_path, "slow"), frame.head(300), GATE.model_copy(update={"max_latency_ms": 2}))
    assert "ms; 2 ms is allowed" in " ".join(decision.reasons)


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [(25.0, 24.0, "20 ms is allowed"), (9.0, 2.0, "3 times as long"), (5.0, 2.0, ""), (1.5, 0.1, ""), (9.0, None, "")],
    ids=["above the limit", "much slower", "a little slower", "slower and still fast", "no champion"],
)
def test_slowness_is_judged_by_the_limit_and_by_the_champion(new: float, old: float | None, said: str) -> None:
    reasons = resource_violations(new, old, 1.0, Gate(max_latency_ms=20, max_latency_ratio=3))
    assert bool(reasons) == bool(said)
    assert said in " ".join(reasons)


def test_a_bundle_that_is_too_large_is_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    (tmp_path / "member.onnx").write_bytes(bytes(3_000_000))
    decision = against_champion(Worse(tmp_path, "in no way"), frame, GATE.model_copy(update={"max_bundle_mb": 2}))
    assert decision.reasons == ("The bundle has 3 MB; 2 MB are allowed.",)


def test_too_few_rows_decide_nothing(tmp_path: Path) -> None:
    decision = against_champion(Worse(tmp_path, "in no way"), calls(150, seed=2))
    assert "too few to decide" in " ".join(decision.reasons)


def test_the_gain_has_to_be_above_the_minimum(tmp_path: Path, frame: pd.DataFrame) -> None:
    asked = GATE.model_copy(update={"minimum_gain": 30.0})
    assert "above 30" in " ".join(against_champion(Worse(tmp_path, "in no way"), frame, asked).reasons)


def test_the_same_bundle_is_unchanged(tmp_path: Path, frame: pd.DataFrame) -> None:
    one = cast("Predictor", SimulatedModel("same", 2, 60.0, tmp_path))
    decision = compare_models(one, one, frame, {}, GATE)
    assert decision.outcome == "unchanged"
    assert not decision.promote


def test_a_first_model_has_to_beat_the_baseline(tmp_path: Path, frame: pd.DataFrame) -> None:
    good = compare_models(cast("Predictor", SimulatedModel("first", 2, 60.0, tmp_path)), None, frame, {}, GATE)
    assert good.outcome == "passed"
    assert good.compared_with == "the baseline"
    bad = compare_models(cast("Predictor", SimulatedModel("first", 2, 2_000.0, tmp_path)), None, frame, {}, GATE)
    assert bad.outcome == "refused"


def test_the_same_contest_is_decided_the_same_way_twice(tmp_path: Path, frame: pd.DataFrame) -> None:
    first, second = (against_champion(Worse(tmp_path, "in no way"), frame) for _ in range(2))
    assert replace(first, latency_ms=0) == replace(second, latency_ms=0)


def test_worse_models_are_not_promoted_and_equal_ones_rarely(tmp_path: Path) -> None:
    assert promoted_share(500, -0.05, 40, tmp_path, GATE) == 0.0
    assert promoted_share(500, -0.02, 40, tmp_path, GATE) <= 0.05
    # 5 % are meant; 7 or more of 60 would come with a chance below 4 %
    assert promoted_share(500, 0.0, 60, tmp_path, GATE) <= 0.10


def test_clearly_better_models_are_not_refused(tmp_path: Path) -> None:
    assert promoted_share(1_000, 0.10, 30, tmp_path, GATE) >= 0.9


def test_one_lucky_subgroup_in_a_hundred_does_not_refuse() -> None:
    def check(name: str, chance: float, loss: float) -> GuardrailCheck:
        return GuardrailCheck(name, "mae", 1.0, MetricGain(10 + loss, 10, -loss, -9, chance), 200)

    luck = [check(f"area {number}", (number + 0.5) / 100, 2.0) for number in range(100)]
    assert failed_guardrails(luck, GATE) == []
    real = check("area real", 1e-6, 2.0)
    assert failed_guardrails([*luck, real], GATE) == [real]
    within = check("area within its limit", 1e-6, 0.5)
    assert failed_guardrails([*luck, within], GATE) == []


def test_rows_of_an_incident_are_drawn_together() -> None:
    frame = calls(400, seed=3)
    cluster, unit = clusters(USE_CASE, frame)
    assert unit == "delivery_id"
    assert (cluster == np.arange(400) // 2).all()


def test_with_enough_days_whole_days_are_drawn_and_no_incident_is_divided() -> None:
    frame = calls(2_001, seed=3, days=60)
    cluster, unit = clusters(USE_CASE, frame)
    assert unit == "day"
    assert cluster.max() + 1 == pytest.approx(60, abs=1)
    assert pd.Series(cluster).groupby(frame["delivery_id"]).nunique().max() == 1


def test_drawing_rows_one_by_one_would_be_too_sure() -> None:
    """The guarantee behind clusters: ten copies of a row are one row."""
    from services.core.scoring.metrics import metric_of
    from services.core.scoring.scored_predictions import predict_with_model, score_variants

    single = calls(300, seed=4)
    copied = single.loc[single.index.repeat(10)].reset_index(drop=True)
    copied["delivery_id"] = [f"D{number // 20}" for number in range(len(copied))]
    target, spread = USE_CASE.target("seconds"), {}
    for name, rows in (("incidents", copied), ("rows", copied.assign(delivery_id=copied.index.astype(str)))):
        made = [
            score_variants(
                USE_CASE, rows, {}, predict_with_model(cast("Predictor", SimulatedModel("m", seed, 60.0, Path())))
            )[0]
            for seed in (2, 3)
        ]
        gain = metric_gain(*made, metric_of(target, "mae"), resample(USE_CASE, rows, 400, 1), confidence=0.95)
        spread[name] = gain.gain - gain.bound
    assert spread["incidents"] > 2 * spread["rows"]


def test_the_bound_is_below_the_true_gain_as_often_as_promised(tmp_path: Path) -> None:
    """One-sided: in 95 % of contests the true gain lies above the bound."""
    bounds, gains = [], []
    for seed in range(60):
        decision = decide(600, 0.05, 500 + seed, tmp_path, GATE)
        bounds.append(decision.deciding.measured.bound)
        gains.append(decision.deciding.measured.gain)
    assert np.mean(np.array(bounds) <= np.mean(gains)) >= 0.87
