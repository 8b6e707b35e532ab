"""Monitoring runs over toy calls, from the tables to the verdict, the action and what is stored."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine

from services.core.jobs.metrics import JobMetrics
from services.core.messages import sentences
from services.core.model_registry import promotion_freeze
from services.core.model_registry.client import ModelRegistry
from services.core.monitoring.drift_state import MonitoringRunRow, concept_drift_events
from services.core.params import Monitoring
from services.core.paths import VigiePaths
from services.drift import run_store
from services.drift.api import register_metrics
from services.drift.jobs import Monitor, retraining_limits
from tests.integration.drift.toy_world import BEGIN, FolderModels, deliveries, make_model, store
from tests.toy.bundles import make_examples

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toy")]

PARAMS = Monitoring(minimum_calls=100, minimum_outcomes=100, segment_rows=30, retraining_outcomes=40)
Look = Callable[..., MonitoringRunRow]


class Desk:
    def __init__(self) -> None:
        self.retrained: list[str] = []
        self.rolled_back: list[int] = []

    def retrain(self, use_case: str, run_id: str, reason: str) -> str:  # noqa: ARG002
        self.retrained.append(reason)
        return "run-1"

    def roll_back(self, use_case: str, version: int, reason: str) -> str:  # noqa: ARG002
        self.rolled_back.append(version)
        return "job-1"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, toy: None) -> Path:
    return make_model(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, toy: None) -> Path:
    """Learned from labels that were mixed up."""
    examples = make_examples(1_500, seed=4)
    mixed = np.random.default_rng(1).permutation(len(examples))
    for name in ("seconds", "late"):
        examples[name] = examples[name].to_numpy()[mixed]
    return make_model(tmp_path_factory.mktemp("bad"), examples=examples)


@pytest.fixture
def models(good: Path) -> FolderModels:
    made = FolderModels()
    made.add(1, good, alias="champion")
    return made


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def look(engine: Engine, models: FolderModels, desk: Desk, tmp_path: Path) -> Look:
    def once(*, with_report: bool = False, act: bool = True, params: Monitoring = PARAMS) -> MonitoringRunRow:
        monitor = Monitor(
            VigiePaths(tmp_path),
            engine,
            cast("ModelRegistry", models),
            params,
            desk,
            retraining_limits(params, daily=5),
        )
        return monitor.run(uuid.uuid4().hex, "toy", with_report=with_report, act=act)

    return once


def codes(run: MonitoringRunRow) -> set[str]:
    return {reason["code"] for reason in run.summary["reasons"]}


def test_without_enough_calls_nothing_is_said(look: Look, engine: Engine, desk: Desk) -> None:
    assert look().verdict == "too_few"
    store(engine, deliveries(60))
    run = look()
    assert (run.verdict, run.summary["window"]["calls"]) == ("too_few", 60)
    assert desk.retrained == []


def test_an_unchanged_world_is_stable_and_its_quality_is_measured(look: Look, engine: Engine) -> None:
    store(engine, deliveries(900))
    run = look()
    assert (run.verdict, run.action, run.breached) == ("stable", "none", False)
    overall = {
        (entry["target"], entry["metric"]): entry
        for entry in run.summary["quality"]
        if not {"centre", "area", "hour"} & set(entry)
    }
    mae = overall["seconds", "mae"]
    assert mae["low"] < mae["value"] < mae["high"]
    assert mae["value"] == pytest.approx(mae["reference"], rel=0.2)
    assert ("late", "ece") in overall
    assert overall["seconds", "coverage_90"]["value"] == pytest.approx(0.9, abs=0.06)
    groups = [entry for entry in run.summary["quality"] if entry["target"] == "seconds"]
    assert {entry["centre"] for entry in groups if "centre" in entry} == {"north", "south", "far"}
    assert {entry["area"] for entry in groups if entry.get("column") == "town"} == {"east", "west", "north"}
    assert {entry["hour"] for entry in groups if "hour" in entry} == {"00-06", "06-12", "12-18", "18-24"}
    checked = run.summary["estimate"]["targets"][0]
    assert checked["estimated"]
    assert checked["checked"]["estimate"] == pytest.approx(checked["checked"]["truth"], rel=0.3)


def test_a_slow_east_is_named_confirmed_and_retrained_once(look: Look, engine: Engine, desk: Desk) -> None:
    rows = deliveries(1_200, since=0.6, slow=400.0)
    store(engine, rows.iloc[:1_100])
    first = look()
    assert (first.verdict, first.action) == ("watch", "none"), "one look is not enough"
    assert look().verdict == "watch", "the same calls confirm nothing"
    store(engine, rows.iloc[1_100:])
    second = look()
    assert (second.verdict, second.action) == ("drifted", "retraining")
    reason = second.summary["reasons"][0]
    assert (reason["code"], reason["column"], reason["area"]) == ("error_segment", "town", "east")
    assert "east" in sentences(reason["message"])["en"]
    assert "au lieu de" in sentences(reason["message"])["fr"]
    began = BEGIN + timedelta(days=13 * 0.6)
    assert abs(datetime.fromisoformat(reason["since"]) - began) < timedelta(days=1.5)
    assert second.summary["action"]["run_id"] == "run-1"
    assert "east" in desk.retrained[0]
    with engine.connect() as connection:
        (change,) = concept_drift_events(connection, "toy")
    assert change["segments"][0]["column"] == "town"
    assert change["segments"][0]["value"] == "east"
    store(engine, deliveries(100, seed=10, since=0.0, slow=400.0, days=13.2).iloc[-20:])
    assert look().action == "none", "the cooldown holds"
    assert len(desk.retrained) == 1


def test_a_look_that_is_not_to_act_says_what_it_saw_and_asks_for_nothing(
    look: Look, engine: Engine, desk: Desk
) -> None:
    rows = deliveries(1_200, since=0.6, slow=400.0)
    store(engine, rows.iloc[:1_100])
    look()
    store(engine, rows.iloc[1_100:])
    run = look(act=False)
    assert (run.verdict, run.action) == ("drifted", "none")
    assert desk.retrained == []


def test_during_a_freeze_no_retraining_is_asked_for(look: Look, engine: Engine, desk: Desk) -> None:
    rows = deliveries(1_200, since=0.6, slow=400.0)
    store(engine, rows.iloc[:1_100])
    look()
    store(engine, rows.iloc[1_100:])
    with engine.begin() as connection:
        promotion_freeze.freeze_promotions(connection, reason="a storm", by="ada")
    run = look()
    assert (run.verdict, run.action) == ("drifted", "none")
    assert "a storm" in sentences(run.summary["action"]["message"])["en"]
    assert desk.retrained == []


def test_exercises_are_never_looked_at_and_simulated_calls_only_beside_a_simulated_model(
    look: Look, engine: Engine, models: FolderModels
) -> None:
    store(engine, deliveries(300), kind="exercise")
    assert look().verdict == "too_few"
    store(engine, deliveries(300, seed=10), kind="simulated")
    assert look().summary["window"]["calls"] == 300
    models.simulated = False
    assert look().verdict == "too_few"


def test_drifted_inputs_are_told_with_what_they_do_to_the_error(look: Look, engine: Engine) -> None:
    rows = deliveries(600)
    rows["distance"] += 6.0
    rows["seconds"] += 720.0
    rows["late"] = 1.0
    store(engine, rows)
    run = look()
    assert "input_shifted" in codes(run)
    reason = next(r for r in run.summary["reasons"] if r.get("column") == "distance")
    assert reason["value"] > 1
    assert "error" in sentences(reason["message"])["en"]
    assert "erreur" in sentences(reason["message"])["fr"]


@pytest.mark.parametrize("kind", ["shuffled", "short"])
def test_a_poisoned_centre_is_held_back_and_judges_no_model(look: Look, engine: Engine, desk: Desk, kind: str) -> None:
    rows = deliveries(1_400)
    mine = np.flatnonzero((rows["centre"] == "south").to_numpy() & (np.arange(len(rows)) >= 700))
    if kind == "shuffled":
        values = rows["seconds"].to_numpy().copy()
        values[mine] = np.random.default_rng(2).permutation(values[mine])
        rows["seconds"] = values
    else:
        rows.loc[mine, "seconds"] -= 60.0
    rows["late"] = (rows["seconds"] > 600).astype(float)
    store(engine, rows)
    run = look()
    (held,) = run_store.list_quarantines(engine, "toy")
    assert (held.centre, held.code) == ("south", {"shuffled": "unconnected", "short": "shifted"}[kind])
    assert f"outcomes_{held.code}" in codes(run)
    assert not run.breached
    assert desk.retrained == []
    assert run.summary["window"]["outcomes"] <= 1_400 - len(mine) + 80


def test_outcomes_of_calls_that_are_long_past_are_checked_when_they_arrive(look: Look, engine: Engine) -> None:
    rows = deliveries(1_000)
    rows["centre"] = np.where(np.arange(len(rows)) % 2 == 0, "late", "prompt")
    for name in ("seconds", "late"):
        rows[name] = np.random.default_rng(2).permutation(rows[name].to_numpy())
    store(engine, rows[rows["centre"] == "prompt"])
    store(engine, rows[rows["centre"] == "late"], dated=timedelta(days=-25))
    look()
    assert {hold.centre for hold in run_store.list_quarantines(engine, "toy")} == {"late", "prompt"}


def test_a_look_with_too_few_calls_has_evaluated_no_outcomes(look: Look, engine: Engine) -> None:
    store(engine, deliveries(60))
    run = look()
    assert (run.verdict, run.outcomes_until) == ("too_few", None)
    store(engine, deliveries(200, seed=3))
    assert look().outcomes_until is not None


def test_outcomes_that_belong_to_no_call_are_told_by_centre(look: Look, engine: Engine) -> None:
    rows = deliveries(900)
    store(engine, rows[rows["centre"] != "far"])
    store(engine, rows[rows["centre"] == "far"], named="case-")
    run = look()
    assert run.verdict == "watch"
    [reason] = [reason for reason in run.summary["reasons"] if reason["code"] == "outcomes_unmatched"]
    assert reason["area"] == "far"
    assert "far" in sentences(reason["message"])["fr"]
    metrics = CollectorRegistry()
    register_metrics(JobMetrics(metrics), engine)
    said = generate_latest(metrics).decode()
    count = float(next(entry["reports"] for entry in run.summary["reports"] if entry["centre"] == "far"))
    assert count > 100
    assert f'vigie_outcomes_without_call{{centre="far",use_case="toy"}} {count}' in said
    assert 'vigie_outcomes_without_call{centre="north",use_case="toy"} 0.0' in said


def test_a_centre_whose_outcomes_a_person_believes_is_not_held_again(look: Look, engine: Engine) -> None:
    rows = deliveries(1_400)
    rows.loc[(rows["centre"] == "south") & (rows.index >= 700), "seconds"] -= 60.0
    store(engine, rows)
    look()
    (held,) = run_store.list_quarantines(engine, "toy")
    assert run_store.release_quarantine(engine, held.id, "ada")
    look()
    assert [hold for hold in run_store.list_quarantines(engine, "toy") if hold.lifted_at is None] == []


def test_a_new_champion_that_does_worse_on_the_same_calls_is_rolled_back(
    look: Look, engine: Engine, models: FolderModels, desk: Desk, bad: Path
) -> None:
    since = datetime.now(UTC) - timedelta(days=13)
    models.add(2, bad, alias="champion", follows="1", promoted=since.isoformat())
    store(engine, deliveries(900), version=2)
    run = look()
    assert (run.verdict, run.action) == ("drifted", "rollback")
    assert desk.rolled_back == [2]
    assert "version 1" in sentences(run.summary["action"]["message"])["en"].lower()
    duel = run.summary["shadow"]["previous"]["targets"][0]
    assert duel["new"] > duel["old"]
    assert "worse_than_before" in codes(run)


def test_a_new_champion_that_does_as_well_stays(
    look: Look, engine: Engine, models: FolderModels, desk: Desk, good: Path
) -> None:
    since = datetime.now(UTC) - timedelta(days=13)
    models.add(2, good, alias="champion", follows="1", promoted=since.isoformat())
    store(engine, deliveries(900), version=2)
    run = look()
    assert run.action == "none"
    assert run.summary["shadow"]["previous"]["targets"][0]["gain"] == 0
    assert desk.rolled_back == []


def test_the_challenger_answers_the_same_calls_in_shadow(
    look: Look, engine: Engine, models: FolderModels, bad: Path
) -> None:
    models.add(3, bad, alias="challenger")
    store(engine, deliveries(900))
    shadow = look().summary["shadow"]["challenger"]
    assert shadow["version"] == 3
    assert shadow["targets"][0]["new"] > shadow["targets"][0]["old"]
    assert shadow["targets"][0]["count"] > 800


def test_figures_are_read_from_the_newest_run(look: Look, engine: Engine) -> None:
    store(engine, deliveries(900))
    look()
    metrics = CollectorRegistry()
    register_metrics(JobMetrics(metrics), engine)
    said = generate_latest(metrics).decode()
    assert 'vigie_drift_verdict{use_case="toy"} 0.0' in said
    assert 'vigie_live_error{metric="mae",target="seconds",use_case="toy"}' in said
    assert 'vigie_automatic_retrainings_total{use_case="toy"} 0.0' in said
    assert 'vigie_live_error_breached{use_case="toy"} 0.0' in said


def test_reports_are_kept_for_the_newest_runs_alone(look: Look, engine: Engine, tmp_path: Path) -> None:
    rows = deliveries(300)
    rows["town"] = ""  # a column without values, on which Evidently by itself would fail
    store(engine, rows)
    params = PARAMS.model_copy(update={"reports_kept": 1})
    first = look(with_report=True, params=params)
    path = run_store.report_path(VigiePaths(tmp_path), "toy", first.id)
    assert path.read_text().startswith(("<!DOCTYPE", "\n<!DOCTYPE", "\n    <!DOCTYPE", "<html", "\n"))
    assert path.stat().st_size > 100_000
    second = look(with_report=True, params=params)
    assert not path.exists()
    assert run_store.report_path(VigiePaths(tmp_path), "toy", second.id).is_file()
    kept = run_store.recent_runs(engine, "toy", 5)
    assert [run.report for run in kept] == [True, False]
    assert cast("Any", kept[1]).summary["verdict"] == first.verdict, "the summary stays"
