"""Real wines, read from the official files: some are held out, the others trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.contract.use_case import BoostedTrees
from services.core.params import Train
from services.core.raw_files.reader import read_folder
from services.core.scoring import score, score_baseline
from services.preprocessing.stage.preprocess import check_schema
from services.training.stage.splitting import hash_fractions
from services.training.stage.train import train
from services.use_cases.wine_quality import raw
from services.use_cases.wine_quality.declaration import USE_CASE

pytestmark = pytest.mark.slow  # it trains models


@pytest.fixture(scope="module")
def examples(shared_data: Path) -> pd.DataFrame:
    return raw.build_examples(read_folder("wine_quality", shared_data / "wine_quality"))


def test_every_official_row_is_read_and_every_wine_is_there_once(examples: pd.DataFrame) -> None:
    check_schema(USE_CASE, examples, 500)
    assert examples["colour"].value_counts().to_dict() == {"white": 3_169, "red": 1_088}
    assert examples["wine"].is_unique


@pytest.mark.slow
def test_a_fifth_of_the_rounds_already_beats_the_baseline(examples: pd.DataFrame, tmp_path: Path) -> None:
    quick = replace(
        USE_CASE,
        modelling=replace(
            USE_CASE.modelling,
            targets=tuple(
                replace(
                    target,
                    learner=BoostedTrees(
                        tuple(
                            replace(m, num_boost_round=m.num_boost_round // 5, parameters={**m.parameters, "eta": 0.15})
                            for m in target.learner.members
                        )
                    ),
                )
                for target in USE_CASE.modelling.targets
            ),
        ),
    )
    apart = pd.Series(hash_fractions(examples["wine"].tolist(), "test") > 0.8)
    known, new = (examples[chosen].reset_index(drop=True) for chosen in (~apart, apart))
    folder = train(quick, known, {}, {}, params=Train(folds=2), folder=tmp_path / "bundle", simulated=False)
    found = score(Predictor(quick, folder), new, {})["metrics"]
    baseline = score_baseline(USE_CASE, new, {})["metrics"]
    assert found["quality"]["rmse"] < 0.74 < baseline["quality"]["rmse"]
    assert found["quality"]["coverage_90"] == pytest.approx(0.9, abs=0.03)
    assert found["grade"]["log_loss"] < baseline["grade"]["log_loss"] - 0.1
