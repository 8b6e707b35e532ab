"""What monitoring found decides what the next model learns from and is judged on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine

from benchmarks.gate_error_rates import CHAMPION_ERROR, SimulatedModel, calls
from services.core.bundle.predictor import Prediction, Predictor
from services.core.contract.use_case import RegressionPrediction, Split
from services.core.messages import Message
from services.core.monitoring.drift_state import MonitoringRunRow, concept_drift_events, usable_label_filter
from services.core.params import Gate
from services.drift import run_store
from services.drift.label_quality import SuspectLabels
from services.preprocessing.stage.label_rows import REGIME, drop_outdated_rows
from services.training.gate.compare import compare_models
from services.training.stage.splitting import CALIBRATE, TEST, TRAIN, assign_splits
from tests.toy.bundles import make_examples
from tests.toy.declaration import USE_CASE

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
SINCE = pd.Timestamp("2024-02-10", tz="UTC")


def run(number: int = 1, **values: Any) -> MonitoringRunRow:
    given = {
        "id": f"{number:032x}",
        "use_case": "toy",
        "started_at": NOW,
        "finished_at": NOW + timedelta(minutes=number),
        "window_to": NOW,
        "outcomes_until": None,
        "model_version": "1",
        "verdict": "stable",
        "breached": False,
        "inputs_drifted": False,
        "action": "none",
        "report": False,
        "summary": {},
    }
    return MonitoringRunRow(**given | values)


def report(centre: str, at: datetime, stored_at: datetime | None = None) -> dict[str, Any]:
    return {"centre": centre, "received_at": at, "stored_at": stored_at}


CALL = {"received_at": NOW - timedelta(days=30)}


def doubt(centre: str, since: datetime) -> SuspectLabels:
    return SuspectLabels(centre, "shifted", since.timestamp(), -60.0, Message("monitoring.no_action"))


# --- which outcomes ---------------------------------------------------------------------------------------


def test_without_monitoring_every_outcome_may_be_learned_from(engine: Engine) -> None:
    with engine.connect() as connection:
        assert usable_label_filter(connection, "toy")(report("north", NOW), CALL)


def test_outcomes_that_monitoring_has_not_looked_at_yet_wait(engine: Engine) -> None:
    run_store.save_run(engine, run(outcomes_until=NOW), 5)
    with engine.connect() as connection:
        usable = usable_label_filter(connection, "toy")
        assert usable(report("north", NOW), CALL)
        assert not usable(report("north", NOW + timedelta(seconds=1)), CALL)
        assert usable_label_filter(connection, "another")(report("north", NOW + timedelta(days=1)), CALL)


def test_a_look_with_too_few_calls_has_looked_at_nothing(engine: Engine) -> None:
    run_store.save_run(engine, run(outcomes_until=NOW, verdict="too_few"), 5)
    with engine.connect() as connection:
        assert not usable_label_filter(connection, "toy")(report("north", NOW), CALL)
    run_store.save_run(engine, run(2, outcomes_until=NOW - timedelta(days=1)), 5)
    with engine.connect() as connection:
        assert not usable_label_filter(connection, "toy")(report("north", NOW), CALL)
        assert usable_label_filter(connection, "toy")(report("north", NOW - timedelta(days=1)), CALL)


def test_what_is_delivered_after_a_look_waits_whenever_it_was_received(engine: Engine) -> None:
    run_store.save_run(engine, run(outcomes_until=NOW), 5)
    early, later = NOW - timedelta(hours=1), NOW + timedelta(seconds=1)
    with engine.connect() as connection:
        usable = usable_label_filter(connection, "toy")
        assert usable(report("north", early, NOW), CALL)
        assert not usable(report("north", early, later), CALL)
        assert not usable(report("north", early, NOW), CALL | {"stored_at": later}), "its call was not there yet"


def test_held_outcomes_of_a_centre_are_left_out_until_somebody_lifts_the_hold(engine: Engine) -> None:
    run_store.quarantine_labels(engine, "toy", [doubt("south", NOW)], "r")
    with engine.connect() as connection:
        usable = usable_label_filter(connection, "toy")
        assert not usable(report("south", NOW + timedelta(hours=1)), CALL)
        assert usable(report("south", NOW - timedelta(hours=1)), CALL), "what came before is believed"
        assert usable(report("north", NOW + timedelta(hours=1)), CALL)
    (held,) = run_store.list_quarantines(engine, "toy")
    assert run_store.release_quarantine(engine, held.id, "ada")
    assert not run_store.release_quarantine(engine, held.id, "ada")
    with engine.connect() as connection:
        assert usable_label_filter(connection, "toy")(report("south", NOW + timedelta(hours=1)), CALL)


def test_a_hold_that_ends_keeps_the_bad_stretch_out_and_believes_what_comes_then(engine: Engine) -> None:
    run_store.quarantine_labels(engine, "toy", [doubt("south", NOW)], "r")
    (held,) = run_store.list_quarantines(engine, "toy")
    assert run_store.open_quarantines(engine) == {"toy": 1}
    assert run_store.close_quarantine(engine, held.id)
    assert not run_store.close_quarantine(engine, held.id)
    assert run_store.open_quarantines(engine) == {}
    with engine.connect() as connection:
        usable = usable_label_filter(connection, "toy")
    assert not usable(report("south", NOW), CALL)
    assert usable(report("south", datetime.now(UTC) + timedelta(seconds=1)), CALL)


# --- what has changed -------------------------------------------------------------------------------------


def test_a_change_is_noted_once_and_keeps_its_first_moment(engine: Engine) -> None:
    segment = {"column": "town", "value": "east", "box": {}}
    run_store.record_concept_drift(engine, "toy", NOW, [segment], "r1")
    run_store.record_concept_drift(engine, "toy", NOW + timedelta(days=2), [segment], "r2")
    with engine.connect() as connection:
        assert concept_drift_events(connection, "toy") == [{"since": NOW.isoformat(), "segments": [segment]}]


@pytest.fixture(scope="module")
def examples() -> pd.DataFrame:
    return make_examples(1_500)


def changed(examples: pd.DataFrame, folder: Path, *segments: dict[str, Any]) -> pd.DataFrame:
    (folder / "changes.json").write_text(json.dumps([{"since": SINCE.isoformat(), "segments": segments}]))
    return drop_outdated_rows(examples, folder)


def test_without_a_change_examples_stay_as_they_are(examples: pd.DataFrame, tmp_path: Path) -> None:
    assert drop_outdated_rows(examples, tmp_path) is examples


def test_old_rows_of_the_changed_place_go_and_all_others_stay(examples: pd.DataFrame, tmp_path: Path) -> None:
    made = changed(examples, tmp_path, {"column": "town", "value": "east", "box": {}})
    before = examples["event_time"] < SINCE
    assert len(made) == len(examples) - int((before & (examples["town"] == "east")).sum())
    assert set(made.loc[made["town"] == "east", REGIME]) == {"since"}
    assert set(made.loc[made["town"] == "west", REGIME]) == {"before", "since"}


def test_a_place_that_examples_do_not_name_is_found_by_its_box(examples: pd.DataFrame, tmp_path: Path) -> None:
    made = changed(examples, tmp_path, {"column": "station", "value": "Alder", "box": {"distance": [2.0, 3.0]}})
    old = made[made[REGIME] == "before"]
    assert not old["distance"].between(2.0, 3.0).any()
    assert old["distance"].between(3.1, 5.0).any()


def test_where_everything_has_changed_few_old_rows_are_left(examples: pd.DataFrame, tmp_path: Path) -> None:
    made = changed(examples, tmp_path)
    counts = made[REGIME].value_counts()
    assert counts["before"] == min(2 * counts["since"], int((examples["event_time"] < SINCE).sum()))


def test_rows_since_a_change_are_cut_by_themselves_in_the_order_of_time(examples: pd.DataFrame, tmp_path: Path) -> None:
    made = changed(examples, tmp_path, {"column": "town", "value": "east", "box": {}})
    slices = assign_splits(USE_CASE, made, Split("time", calibrate=0.1, test=0.1))
    since = (made[REGIME] == "since").to_numpy()
    assert [round(float(np.mean(slices[since] == part)), 2) for part in (TRAIN, CALIBRATE, TEST)] == [0.55, 0.15, 0.3]
    times = made["event_time"]
    assert times[since & (slices == TRAIN)].max() <= times[since & (slices == CALIBRATE)].min()
    assert times[since & (slices == CALIBRATE)].max() <= times[since & (slices == TEST)].min()
    assert np.mean(slices[~since] == TEST) == pytest.approx(0.1, abs=0.01)


# --- what the gate makes of poisoned outcomes -------------------------------------------------------------


class Poisoned(SimulatedModel):
    """A model that has learned that everything takes a minute less."""

    def predict(self, columns: Any, context: Any) -> Prediction:
        values, facts = super().predict(columns, context)
        seconds = values["seconds"]
        assert isinstance(seconds, RegressionPrediction)
        values["seconds"] = RegressionPrediction(seconds.value - 60, seconds.lower - 60, seconds.upper - 60)
        return Prediction(values, facts)


def test_the_gate_refuses_a_model_that_fits_poisoned_outcomes_and_not_the_official_rows(tmp_path: Path) -> None:
    frame = calls(2_000, seed=1)
    poisoned = np.arange(len(frame)) % 5 != 0
    frame["origin"] = np.where(poisoned, "outcome", "official")
    frame.loc[poisoned, "seconds"] -= 60
    challenger = cast("Predictor", Poisoned("challenger", 3, CHAMPION_ERROR, tmp_path))
    champion = cast("Predictor", SimulatedModel("champion", 2, CHAMPION_ERROR, tmp_path))
    # Subgroups and calibration apart, so that this is what refuses.
    gate = Gate(bootstrap=400, max_latency_ratio=1_000, subgroup_limit=1_000.0)
    decision = compare_models(challenger, champion, frame, {}, gate)
    assert decision.deciding is not None
    assert decision.deciding.measured.bound > 0, "on the poisoned rows it looks better"
    assert decision.outcome == "refused"
    assert any("official rows" in reason for reason in decision.reasons)
