"""``fire_response`` on a cut of the real files: they are read, learned from and predicted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.contract.use_case import BoostedTrees, Target, UseCase
from services.core.params import Train
from services.core.scoring import score, score_baseline
from services.training.stage.train import train
from services.use_cases.fire_response import raw
from services.use_cases.fire_response.declaration import USE_CASE

pytestmark = pytest.mark.slow  # it trains models

FILES = {
    "lfb-incidents-2017-01-to-04.csv": "incidents",
    "lfb-incidents-2023-h1-sample.csv": "incidents",
    "lfb-mobilisation-excerpt.csv": "mobilisations",
    "lfb-stations.csv": "stations",
    "context/london-weather-hourly-2023.csv": "weather",
}


def _quicker(target: Target) -> Target:
    learner = target.learner
    return replace(
        target,
        learner=BoostedTrees(
            members=tuple(replace(member, num_boost_round=60) for member in learner.members),
            lower=replace(learner.lower, num_boost_round=60) if learner.lower else None,
            upper=replace(learner.upper, num_boost_round=60) if learner.upper else None,
        ),
    )


QUICK: UseCase = replace(
    USE_CASE,
    modelling=replace(USE_CASE.modelling, targets=tuple(_quicker(target) for target in USE_CASE.modelling.targets)),
)


@pytest.fixture(scope="module")
def checked(shared_data: Path) -> Any:
    """Canonical rows per table, and all refused rows."""
    parts: dict[str, list[pd.DataFrame]] = {}
    faults = []
    for name, table in FILES.items():
        frame = pd.read_csv(shared_data / "fire_response" / name, dtype=str, keep_default_na=False)
        rows, refused, _ = raw.parse_table(table, frame.assign(line=np.arange(2, len(frame) + 2)))
        parts.setdefault(table, []).append(rows)
        faults.append(refused.assign(file=name))
    tables = {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    return SimpleNamespace(tables=tables, faults=pd.concat(faults))


def test_no_row_of_the_official_files_is_refused(checked: Any) -> None:
    assert len(checked.faults) == 0
    assert {name: len(rows) for name, rows in checked.tables.items()} == {
        "incidents": 32_247 + 7_056,
        "mobilisations": 20,
        "stations": 108,
        "weather": 4_344,
    }


def test_examples_hold_both_periods_and_one_label_of_pumps_per_incident(checked: Any) -> None:
    examples = raw.build_examples(checked.tables)
    assert sorted(examples["period"].unique()) == ["2017-01", "2023-01"]
    assert examples.groupby("incident_id")["pumps"].count().max() == 1
    assert 0.3 < examples["over_360s"].mean() < 0.45
    assert set(examples["area"]) >= {"inner_north", "outer_south"}


def test_the_station_that_the_public_file_puts_in_the_wrong_place_is_moved(checked: Any) -> None:
    reference = raw.lookup_tables(checked.tables)
    number = reference["station_names"].tolist().index("Ruislip")
    listed = checked.tables["stations"].set_index("name").loc["Ruislip"]
    assert listed["longitude"] == pytest.approx(-0.182, abs=0.001), "the file's own mistake: that is 16 km too far east"
    assert reference["station_easting"][number] == pytest.approx(509_500, abs=2_000)


def test_weather_becomes_context(checked: Any) -> None:
    context = raw.training_context(checked.tables)
    assert len(context["weather_time"]) == 4_344
    assert (np.diff(context["weather_time"]) == 3_600).all()


@pytest.mark.slow
@pytest.mark.parametrize("with_stations", [True, False])
def test_a_cut_of_the_real_data_is_learned_from(checked: Any, tmp_path: Path, with_stations: bool) -> None:
    cut = {**checked.tables, "incidents": checked.tables["incidents"].iloc[::5].reset_index(drop=True)}
    if not with_stations:
        del cut["stations"], cut["mobilisations"], cut["weather"]
    examples = raw.build_examples(cut)
    late = examples.groupby("period")["event_time"].rank(pct=True) > 0.85
    early = examples[~late].reset_index(drop=True)
    reference = raw.lookup_tables({**cut, "incidents": cut["incidents"]})
    folder = train(QUICK, early, reference, {}, params=Train(), folder=tmp_path / "bundle", simulated=False)
    later = examples[late].reset_index(drop=True)
    model = score(Predictor(QUICK, folder), later, {})["metrics"]
    usual = score_baseline(QUICK, later, {})["metrics"]
    assert model["attendance_seconds"]["mae"] < 0.85 * usual["attendance_seconds"]["mae"]
    assert model["over_360s"]["roc_auc"] > usual["over_360s"]["roc_auc"] + 0.12
    assert model["pumps"]["f1_weighted"] > usual["pumps"]["f1_weighted"] + 0.1
    assert 0.85 < model["attendance_seconds"]["coverage_90"] < 0.95
    unknown = model["attendance_seconds_station_unknown"]
    assert model["attendance_seconds"]["mae"] < unknown["mae"] < usual["attendance_seconds"]["mae"]
