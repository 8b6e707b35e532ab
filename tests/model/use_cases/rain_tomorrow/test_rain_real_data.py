"""Real observations, read from the official table: trained on its start, judged on its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.contract.use_case import BoostedTrees
from services.core.params import Train
from services.core.raw_files.reader import read_folder
from services.core.scoring import score
from services.preprocessing.stage.preprocess import check_schema
from services.training.stage.train import train
from services.use_cases.rain_tomorrow import raw
from services.use_cases.rain_tomorrow.declaration import USE_CASE

pytestmark = pytest.mark.slow  # it trains models


@pytest.fixture(scope="module")
def tables(shared_data: Path) -> dict[str, pd.DataFrame]:
    return read_folder("rain_tomorrow", shared_data / "rain_tomorrow")


def test_the_official_table_is_read_whole(tables: dict[str, pd.DataFrame]) -> None:
    examples = raw.build_examples(tables)
    check_schema(USE_CASE, examples, 500)
    assert len(examples) == 118_903
    assert examples["station"].nunique() == 49
    assert 0.2 < examples["rain"].mean() < 0.25


def test_labels_that_follow_from_the_next_day_are_those_of_the_file(tables: dict[str, pd.DataFrame]) -> None:
    """So a monthly file, which has no label of its own, is labelled as the long table is."""
    told = raw.build_examples(tables)
    follows = raw.build_examples({name: table.assign(rained=float("nan")) for name, table in tables.items()})
    both = told["rain"].notna() & follows["rain"].notna()
    assert both.mean() > 0.9
    assert (told["rain"][both] == follows["rain"][both]).mean() > 0.999


@pytest.mark.slow
def test_a_short_training_already_beats_plain_boosting(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """Three years with a fifth of the rounds: the other stations are worth it."""
    (target,) = USE_CASE.modelling.targets
    members = tuple(
        replace(m, num_boost_round=m.num_boost_round // 5, parameters={**m.parameters, "eta": 0.12})
        for m in target.learner.members
    )
    quick = replace(
        USE_CASE,
        modelling=replace(USE_CASE.modelling, targets=(replace(target, learner=BoostedTrees(members=members)),)),
    )
    examples, context = raw.build_examples(tables), raw.training_context(tables)
    years = examples["date"].dt.year
    past, later = (examples[chosen].reset_index(drop=True) for chosen in (years.isin([2011, 2012]), years == 2013))
    predictor = Predictor(
        quick, train(quick, past, {}, context, params=Train(folds=2), folder=tmp_path / "bundle", simulated=False)
    )
    found: dict[str, Any] = score(predictor, later, context)["metrics"]
    assert found["rain"]["roc_auc"] > 0.89
    assert found["rain"]["roc_auc"] > found["rain_one_row"]["roc_auc"] + 0.01
    assert found["rain"]["ece"] < 0.03
