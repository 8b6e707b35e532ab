"""The evaluation stage: what people and the gate read of a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.params import Evaluate
from services.core.scoring import score, score_baseline
from services.training.evaluation.evaluate import evaluate
from services.training.evaluation.test_set import frozen_test_set
from services.training.stage.splitting import TEST, split_targets
from tests.toy.declaration import USE_CASE


@pytest.fixture(scope="module")
def folder(bundle: Path, examples: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("evaluation") / "evaluation"
    evaluate(USE_CASE, examples, {}, bundle=bundle, params=Evaluate(subgroup_rows=20), folder=made)
    return made


def test_the_report_has_each_targets_reported_metrics_and_each_variant(folder: Path) -> None:
    report = json.loads((folder / "metrics.json").read_text())
    assert report["use_case"] == "toy"
    assert set(report["metrics"]) == {"seconds", "late", "size", "seconds_town_unknown"}
    for target in USE_CASE.modelling.targets:
        assert set(report["metrics"][target.name]) == set(target.reported_metrics)
        assert set(report["baseline"][target.name]) == set(target.reported_metrics)
    assert report["metrics"]["seconds"]["mae"] < report["metrics"]["seconds_town_unknown"]["mae"]
    assert report["metrics"]["seconds_town_unknown"]["mae"] < report["baseline"]["seconds"]["mae"]


def test_the_frozen_rows_are_the_test_slice_and_score_the_same_again(
    folder: Path, bundle: Path, examples: pd.DataFrame
) -> None:
    frame = pd.read_parquet(folder / "test.parquet")
    assert len(frame) == (split_targets(USE_CASE, examples)["seconds"] == TEST).sum()
    assert frame["event_time"].min() > examples["event_time"].quantile(0.8)
    again = score(Predictor(USE_CASE, bundle), frame, {})
    assert again["metrics"] == json.loads((folder / "metrics.json").read_text())["metrics"]
    assert again["rows"] == len(frame)


def test_rows_of_another_targets_test_slice_are_blank(examples: pd.DataFrame) -> None:
    fewer = examples.copy()
    fewer.loc[fewer.index[-50:], "seconds"] = None
    frame = frozen_test_set(USE_CASE, fewer)
    assert frame["seconds"].isna().sum() == 50
    assert frame["size"].notna().all()


def test_subgroups_come_with_their_row_counts(folder: Path) -> None:
    groups = json.loads((folder / "subgroups.json").read_text())["kind"]
    assert set(groups) == {"letter", "parcel"}
    assert sum(group["seconds"]["rows"] for group in groups.values()) == len(pd.read_parquet(folder / "test.parquet"))
    assert groups["letter"]["seconds"]["mae"] > 0


def test_the_card_says_what_was_simulated_and_how_good_it_is(folder: Path) -> None:
    card = (folder / "model_card.md").read_text()
    assert "simulated data" in card
    assert "Decides at" in card
    assert "| Seconds | mae" in card


def test_each_kind_of_target_has_its_plots(folder: Path) -> None:
    assert {path.name for path in (folder / "plots").iterdir()} == {
        "importance.png",
        "late-calibration.png",
        "late-precision-recall.png",
        "seconds-coverage.png",
        "seconds-residuals.png",
        "size-classes.png",
    }


def test_importance_is_shared_among_the_inputs(bundle: Path) -> None:
    shares = json.loads((bundle / "importance.json").read_text())
    assert next(iter(shares["seconds"])) == "distance"
    for target in shares.values():
        assert sum(target.values()) == pytest.approx(1, abs=1e-4)


def test_rows_without_any_outcome_give_an_empty_report_that_says_so(bundle: Path, examples: pd.DataFrame) -> None:
    blank = examples.assign(seconds=float("nan"), late=float("nan"), size=float("nan"))
    report = score(Predictor(USE_CASE, bundle), blank, {})
    assert report["metrics"] == {}
    assert report["omitted"]["seconds"] == "no row has this outcome"


def test_the_baseline_is_scored_by_the_same_code(examples: pd.DataFrame) -> None:
    report = score_baseline(USE_CASE, examples.head(100), {})
    assert report["version"] == "baseline"
    assert report["metrics"]["seconds"]["coverage_90"] <= 1
