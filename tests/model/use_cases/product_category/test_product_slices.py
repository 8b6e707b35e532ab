"""A catalogue that arrives in streams: a first part, then ten more. Each time a model of all that is there goes
through the gate, and the champion never gets worse; a part with wrong codes makes none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.params import Gate, Train
from services.core.raw_files.reader import read_folder
from services.core.scoring.report import compute_metrics
from services.core.scoring.scored_predictions import predict_with_model, score_variants
from services.training.evaluation.test_set import frozen_test_set
from services.training.gate.compare import compare_models
from services.training.gate.decision import Decision
from services.training.stage.train import train
from services.use_cases.product_category import raw, simulator
from services.use_cases.product_category.declaration import USE_CASE

FIRST, PART, PARTS, WRONG = 420, 60, 10, 6
GATE = Gate(bootstrap=500, minimum_rows=50, subgroup_rows=150, max_latency_ms=2_000, max_latency_ratio=1_000)


def part(folder: Path, number: int, rows: int) -> pd.DataFrame:
    simulator.write(folder, seed=number, rows=rows, start=f"2024-01-{number + 1:02d}", days=1)
    return raw.build_examples(read_folder("product_category", folder))


def misfiled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(category=np.random.default_rng(1).permutation(rows["category"].to_numpy()))


def quality(champion: Predictor, rows: pd.DataFrame) -> dict[str, float]:
    (first, *_) = score_variants(USE_CASE, rows, {}, predict_with_model(champion))
    return compute_metrics(first)[0]


@dataclass(frozen=True)
class Step:
    decision: Decision
    champion: dict[str, float]
    """The champion after the step, on rows that no training ever sees."""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    folder = tmp_path_factory.mktemp("streams")
    unseen = part(folder / "unseen", 29, 250)
    known, champion, made = part(folder / "0", 0, FIRST), None, []
    for number in range(PARTS + 1):
        if number:
            new = part(folder / str(number), number, PART)
            known = pd.concat([known, new], ignore_index=True)
        learned = known if number != WRONG else misfiled(known)
        bundle = train(
            USE_CASE, learned, {}, {}, params=Train(folds=2), folder=folder / f"bundle {number}", simulated=True
        )
        challenger = Predictor(USE_CASE, bundle)
        # The rows that decide have the codes that they have: those of a wrong part were corrected by then.
        decision = compare_models(challenger, champion, frozen_test_set(USE_CASE, known), {}, GATE)
        if decision.promote:
            champion = challenger
        assert champion is not None
        made.append(Step(decision, quality(champion, unseen)))
    return made


@pytest.mark.slow
def test_the_first_part_makes_a_champion_and_the_last_one_is_no_worse(steps: list[Step]) -> None:
    assert steps[0].decision.promote
    assert steps[-1].champion["log_loss"] <= steps[0].champion["log_loss"]
    assert steps[-1].champion["f1_weighted"] >= steps[0].champion["f1_weighted"]


@pytest.mark.slow
def test_no_part_leaves_a_worse_champion(steps: list[Step]) -> None:
    for before, after in pairwise(steps):
        assert after.champion["log_loss"] <= before.champion["log_loss"] + 0.01
        assert after.champion["f1_weighted"] >= before.champion["f1_weighted"] - 0.01


@pytest.mark.slow
def test_a_part_with_wrong_codes_changes_nothing(steps: list[Step]) -> None:
    assert steps[WRONG].decision.outcome == "refused"
    assert steps[WRONG].champion == steps[WRONG - 1].champion
