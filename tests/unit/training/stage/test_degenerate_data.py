"""Data that nothing can be learned from end before training, with target, value and rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from structlog.testing import capture_logs

from benchmarks.gate_error_rates import CHAMPION_ERROR, SimulatedModel, calls, error_for
from services.core.bundle.predictor import Predictor
from services.core.contract.use_case import MultiClass, Split, UseCase
from services.core.errors import VigieError
from services.core.params import Gate
from services.training.gate.compare import compare_models
from services.training.stage.splitting import PURPOSES, split_targets
from services.training.stage.training_data import prepare_training_data
from tests.toy.declaration import USE_CASE

CROSSED = replace(
    USE_CASE,
    modelling=replace(
        USE_CASE.modelling,
        targets=(USE_CASE.modelling.targets[1],),
        split=Split("cross", folds=4, repeats=2),
        input_scenarios=(),
    ),
)
LEARNED = replace(
    USE_CASE,
    modelling=replace(
        USE_CASE.modelling,
        targets=(*USE_CASE.modelling.targets[:2], replace(USE_CASE.modelling.targets[2], output=MultiClass())),
    ),
)


@pytest.mark.parametrize(
    ("use_case", "column", "value", "sentence"),
    [
        (USE_CASE, "seconds", 600.0, "toy: seconds is 600 s in all 1,500 rows, so there is nothing to learn."),
        (USE_CASE, "late", 0.0, r"toy: late is 0 \(no\) in all 1,500 rows"),
        (CROSSED, "late", 1.0, r"toy: late is 1 \(yes\) in all 1,500 rows"),
        (USE_CASE, "size", 2.0, "toy: size is 'large' in all 1,500 rows"),
        (LEARNED, "size", "huge", "toy: size is 'huge' in all 1,500 rows"),
        (USE_CASE, "seconds", np.nan, "toy: seconds is missing in all 1,500 rows"),
        (LEARNED, "size", None, "toy: size is missing in all 1,500 rows"),
    ],
)
def test_one_value_for_all_ends_before_training(
    examples: pd.DataFrame, use_case: UseCase, column: str, value: object, sentence: str
) -> None:
    with pytest.raises(VigieError, match=sentence) as caught:
        prepare_training_data(use_case, examples.assign(**{column: value}))
    assert "Look at the files of toy" in caught.value.action


@pytest.mark.parametrize(("part", "purpose"), list(enumerate(PURPOSES)))
@pytest.mark.parametrize(("column", "name"), [("late", r"late is 1 \(yes\)"), ("size", "size is 'medium'")])
def test_one_class_in_any_slice_ends_before_training(
    examples: pd.DataFrame, part: int, purpose: str, column: str, name: str
) -> None:
    here = split_targets(USE_CASE, examples)[column] == part
    with pytest.raises(VigieError, match=rf"toy: {name} in all [\d,]+ rows {purpose}"):
        split_targets(USE_CASE, examples.assign(**{column: examples[column].mask(here, 1.0)}))


def test_in_a_crossed_split_no_part_may_hold_a_class_alone(examples: pd.DataFrame) -> None:
    rare = examples.assign(late=(np.arange(len(examples)) == 3).astype(float))
    with pytest.raises(VigieError, match=r"late is 0 \(no\) in all [\d,]+ rows outside part \d of repetition \d"):
        prepare_training_data(CROSSED, rare)


def test_one_row_is_too_few(examples: pd.DataFrame) -> None:
    with pytest.raises(VigieError, match="too few examples of seconds: 0 to train on, 0 to calibrate, 1 to test"):
        split_targets(USE_CASE, examples.head(1))


def test_a_field_that_never_varies_is_warned_of_by_name(examples: pd.DataFrame) -> None:
    with capture_logs() as logs:
        split_targets(USE_CASE, examples.assign(distance=3.5, town=None))
    assert [(line["field"], line["value"], line["rows"]) for line in logs] == [
        ("distance", "3.5", 1_500),
        ("town", "missing", 1_500),
    ]


def test_fields_that_none_varies_end_before_training(examples: pd.DataFrame) -> None:
    same = {name: examples[name].iloc[0] for name in USE_CASE.serving.request.model_fields}
    with pytest.raises(VigieError, match=r"toy: no field varies in 1,500 rows: called_at is .*, distance is"):
        split_targets(USE_CASE, examples.assign(**same))


@pytest.mark.parametrize("champion", [True, False], ids=["a champion", "the baseline"])
def test_a_perfect_model_of_a_constant_is_not_promoted(tmp_path: Path, champion: bool) -> None:
    class Perfect(SimulatedModel):
        def predict(self, columns: Any, context: Any) -> Any:
            made = super().predict(columns, context)
            seconds: Any = made.values["seconds"]
            made.values["seconds"] = replace(seconds, value=np.full_like(seconds.value, 6.0))
            return made

    frame = calls(1_000, seed=1).assign(seconds=6.0)
    old = SimulatedModel("champion", 2, CHAMPION_ERROR, tmp_path) if champion else None
    new = Perfect("challenger", 3, error_for(0.10), tmp_path)
    decision = compare_models(
        cast("Predictor", new), cast("Predictor", old), frame, {}, Gate(bootstrap=100, max_latency_ratio=1_000)
    )
    assert decision.outcome == "refused"
    assert "seconds is 6 s in all 1,000 test rows, so nothing can be measured on it." in decision.reasons
