"""Looks at calls whose classes are learned from data: names, of which each model has numbers of its own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, insert

from services.core.bundle.predictor import Predictor
from services.core.contract.columns import from_frame
from services.core.contract.modules import compute_drift_features, drift_features_as_json
from services.core.model_registry.client import ModelRegistry
from services.core.params import Evaluate, Monitoring, Train
from services.core.paths import VigiePaths
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from services.core.raw_files.reader import read_folder
from services.drift.jobs import Monitor, retraining_limits
from services.training.evaluation.evaluate import evaluate
from services.training.stage.train import train
from services.use_cases.product_category import raw, simulator
from services.use_cases.product_category.declaration import USE_CASE
from tests.integration.drift.test_monitor import Desk
from tests.integration.drift.toy_world import BEGIN, FolderModels

pytestmark = pytest.mark.slow

PARAMS = Monitoring(minimum_calls=100, minimum_outcomes=100, segment_rows=30)
NEW = "9999"
"""A class that the model never saw."""


def products(folder: Path, seed: int, rows: int) -> pd.DataFrame:
    simulator.write(folder, seed=seed, rows=rows, start="2024-01-01", days=30)
    return raw.build_examples(read_folder(USE_CASE.name, folder))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> FolderModels:
    folder = tmp_path_factory.mktemp("model")
    examples = products(tmp_path_factory.mktemp("raw"), 3, 1_400)
    named: dict[str, Any] = {"codes": np.array([], dtype=str), "names": np.array([], dtype=str)}
    made = train(USE_CASE, examples, named, {}, params=Train(folds=3), folder=folder / "bundle", simulated=True)
    evaluate(USE_CASE, examples, {}, bundle=made, params=Evaluate(), folder=folder / "evaluation")
    found = FolderModels()
    found.add(1, folder, alias="champion")
    return found


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return products(tmp_path_factory.mktemp("calls"), 8, 300)


def store(
    engine: Engine,
    rows: pd.DataFrame,
    codes: Mapping[int, str],
    watched: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Titles and descriptions as prediction would have kept them (never a picture), and the classes reported."""
    label = USE_CASE.modelling.targets[0].label
    predictions, outcomes = [], []
    for number, row in enumerate(rows.to_dict("records")):
        at: datetime = BEGIN + timedelta(hours=number)
        id_ = str(uuid.uuid4())
        common = {
            "use_case": USE_CASE.name, "centre": "north", "caller_kind": "key", "caller_id": "k", "request_id": id_,
            "row_index": None, "simulated": True, "kind": "simulated",
        }  # fmt: skip
        request = {name: row[name] for name in ("title", "description") if row[name]}
        predictions.append(
            common
            | {"id": id_, "incident_id": None, "received_at": at, "latency_us": 0, "model_version": "1"}
            | {"source": "champion", "risk": None, "pseudonymised": False, "request": request, "answer": {}}
            | {"decisions": {}, "warnings": [], "watched": None if watched is None else dict(watched[number])}
        )
        outcomes.append(
            common
            | {"id": str(uuid.uuid4()), "prediction_id": None, "incident_id": None, "happened_at": None}
            | {"received_at": at + timedelta(minutes=9), "labels": {label: codes.get(number, str(row[label]))}}
        )
    with engine.begin() as connection:
        connection.execute(insert(PredictionRow), predictions)
        connection.execute(insert(OutcomeRow), outcomes)


def looked_at(home: Path, engine: Engine, models: FolderModels) -> dict[str, Any]:
    monitor = Monitor(
        VigiePaths(home), engine, cast("ModelRegistry", models), PARAMS, Desk(), retraining_limits(PARAMS)
    )
    run = monitor.run(uuid.uuid4().hex, USE_CASE.name, with_report=False)
    found: dict[str, Any] = json.loads(json.dumps(run.summary))
    return found


def overall(summary: Mapping[str, Any], metric: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        entry for entry in summary["quality"]
        if entry["metric"] == metric and not {"centre", "area", "hour"} & set(entry)
    )  # fmt: skip
    return found


def test_reported_names_are_matched_with_the_models_own_classes(
    tmp_path: Path, engine: Engine, models: FolderModels, rows: pd.DataFrame
) -> None:
    store(engine, rows, {})
    summary = looked_at(tmp_path, engine, models)
    found = overall(summary, "accuracy")
    assert found["count"] == len(rows)
    assert found["value"] > 0.9
    assert abs(found["value"] - found["reference"]) < 0.05, "the frozen rows are judged without pictures too"
    assert summary["verdict"] != "drifted"


def test_texts_that_nobody_wrote_before_are_no_drift_and_no_group(
    tmp_path: Path, engine: Engine, models: FolderModels, rows: pd.DataFrame
) -> None:
    """No two titles are alike; what they are like is told by the watched columns."""
    store(engine, rows, {})
    summary = looked_at(tmp_path, engine, models)
    texts = {column["name"]: column for column in summary["drift"]["columns"]}
    assert not texts["title"]["drifted"]
    assert texts["title"]["value"] < 0.05
    assert not {entry.get("column") for entry in summary["quality"]} & {"title", "description"}


def test_what_is_watched_is_held_against_rows_that_the_model_has_not_learned_from(
    tmp_path: Path, engine: Engine, models: FolderModels, rows: pd.DataFrame
) -> None:
    """Of those that it has learned from it knows every word."""
    model = Predictor(USE_CASE, models.folders[1] / "bundle")
    store(
        engine,
        rows,
        {},
        drift_features_as_json(
            compute_drift_features(USE_CASE, from_frame(USE_CASE.serving.request, rows), model.fitted)
        ),
    )
    columns = {column["name"]: column for column in looked_at(tmp_path, engine, models)["drift"]["columns"]}
    assert columns["watched.unseen_words"]["value"] < 1
    assert not columns["watched.unseen_words"]["drifted"]


def test_a_class_that_the_model_never_saw_counts_as_missed(
    tmp_path: Path, engine: Engine, models: FolderModels, rows: pd.DataFrame
) -> None:
    store(engine, rows, dict.fromkeys(range(0, len(rows), 4), NEW))
    found = overall(looked_at(tmp_path, engine, models), "accuracy")
    assert 0.6 < found["value"] <= 0.75, "every fourth call had the new class"
