"""How a trained ``fire_response`` model behaves: on simulated data, with its declared learners at a
third of their rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import Prediction, Predictor, to_scalars
from services.core.contract import columns as column_tools
from services.core.contract.use_case import BoostedTrees, Booster, Columns, RegressionPrediction, Target, UseCase
from services.core.params import Train
from services.core.scoring import score, score_baseline
from services.training.stage.train import train
from services.use_cases.fire_response import raw, simulator
from services.use_cases.fire_response.answer import FireAnswer, build_response
from services.use_cases.fire_response.declaration import USE_CASE
from services.use_cases.fire_response.request import FireCall
from services.use_cases.fire_response.simulation import CENTRE, NEW_KIND, build_city, closed_station

pytestmark = pytest.mark.slow  # it trains models


def _quicker(target: Target) -> Target:
    def shorter(booster: Booster | None) -> Booster:
        assert booster is not None
        return replace(booster, num_boost_round=max(30, booster.num_boost_round // 3))

    learner = target.learner
    return replace(
        target,
        learner=BoostedTrees(
            members=tuple(shorter(member) for member in learner.members),
            lower=shorter(learner.lower) if learner.lower else None,
            upper=shorter(learner.upper) if learner.upper else None,
        ),
    )


QUICK: UseCase = replace(
    USE_CASE,
    modelling=replace(USE_CASE.modelling, targets=tuple(_quicker(target) for target in USE_CASE.modelling.targets)),
)


def read(paths: list[Path]) -> dict[str, pd.DataFrame]:
    parts: dict[str, list[pd.DataFrame]] = {}
    for path in paths:
        table = next(name for name in ("incidents", "mobilisations", "stations") if name in path.name)
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        parts.setdefault(table, []).append(raw.parse_table(table, frame.assign(line=range(2, len(frame) + 2))).rows)
    return {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("behaviour")
    tables = read(simulator.write(folder / "files", seed=11, rows=6_000, start="2024-01-08", days=120))
    examples = raw.build_examples(tables)
    train(QUICK, examples, raw.lookup_tables(tables), {}, params=Train(), folder=folder / "bundle", simulated=True)
    later = read(simulator.write(folder / "later", seed=12, rows=2_500, start="2024-05-10", days=40))
    return SimpleNamespace(
        predictor=Predictor(QUICK, folder / "bundle"), examples=examples, later=raw.build_examples(later), folder=folder
    )


def predict(trained: Any, columns: Columns) -> Prediction:
    return cast("Prediction", trained.predictor.predict(columns, {}))


def median(trained: Any, columns: Columns) -> Any:
    value = predict(trained, columns).values["attendance_seconds"]
    assert isinstance(value, RegressionPrediction)
    return value.value


def ask(trained: Any, **fields: Any) -> FireAnswer:
    """One call as the service answers it."""
    call = {"call_time": "2024-05-14T11:00:00", "easting": 530_400, "northing": 179_900, "incident_group": "Fire"}
    request = FireCall.model_validate(call | fields).model_dump()
    values, facts = to_scalars(predict(trained, column_tools.from_rows(FireCall, [request])), 0)
    return FireAnswer.model_validate(build_response(values, facts, request))


def later_columns(trained: Any) -> dict[str, Any]:
    return column_tools.from_frame(FireCall, trained.later)


def test_on_later_data_the_model_clearly_beats_the_baseline(trained: Any) -> None:
    model: Mapping[str, Any] = score(trained.predictor, trained.later, {})["metrics"]
    usual: Mapping[str, Any] = score_baseline(QUICK, trained.later, {})["metrics"]
    assert model["attendance_seconds"]["mae"] < 0.6 * usual["attendance_seconds"]["mae"]
    assert model["over_360s"]["brier"] < 0.6 * usual["over_360s"]["brier"]
    assert model["pumps"]["f1_weighted"] > usual["pumps"]["f1_weighted"] + 0.1
    assert 0.85 <= model["attendance_seconds"]["coverage_90"] <= 0.95
    assert model["over_360s"]["ece"] < 0.06


def test_each_pump_order_keeps_its_own_interval_promise(trained: Any) -> None:
    value = predict(trained, later_columns(trained)).values["attendance_seconds"]
    assert isinstance(value, RegressionPrediction)
    seconds, order = trained.later["attendance_seconds"].to_numpy(), trained.later["pump_order"].to_numpy()
    for number in (1, 2):
        rows = (order == number) & ~np.isnan(seconds)
        assert ((seconds >= value.lower) & (seconds <= value.upper))[rows].mean() == pytest.approx(0.9, abs=0.05)


def test_more_distance_never_shortens_the_time_on_average(trained: Any) -> None:
    where = build_city()
    station = 5
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    average = []
    for metres in range(300, 3_600, 300):
        calls = [
            {
                "call_time": datetime(2024, 5, 14, hour, tzinfo=UTC),
                "easting": float(where.easting[station] + metres * np.cos(turn)),
                "northing": float(where.northing[station] + metres * np.sin(turn)),
                "incident_group": "Fire",
                "property_category": "Dwelling",
                "property_type": "House - single occupancy",
                "deployed_from_station": str(where.names[station]),
            }
            for turn in angle
            for hour in (3, 9, 14, 18)
        ]
        requests = [FireCall.model_validate(call).model_dump() for call in calls]
        average.append(float(median(trained, column_tools.from_rows(FireCall, requests)).mean()))
    assert (np.diff(average) > -2.0).all(), average
    assert average[-1] > average[0] + 100


def test_the_second_pump_is_not_expected_before_the_first(trained: Any) -> None:
    columns = later_columns(trained)
    order = columns["pump_order"]
    first = median(trained, {**columns, "pump_order": np.ones_like(order)})
    second = median(trained, {**columns, "pump_order": np.full_like(order, 2)})
    assert second.mean() > first.mean()


def test_the_rush_hour_in_the_middle_of_the_city_costs_time(trained: Any) -> None:
    columns = later_columns(trained)
    middle = np.hypot(columns["easting"] - CENTRE[0], columns["northing"] - CENTRE[1]) < 6_000
    columns = column_tools.select_rows(columns, middle)

    def at(hour: int) -> float:
        moment = np.full(len(columns["call_time"]), datetime(2024, 5, 14, hour, 40, tzinfo=UTC).timestamp())
        return float(median(trained, {**columns, "call_time": moment}).mean())

    assert at(16) > at(11) + 8


def test_a_hospital_fire_needs_more_pumps_than_a_bin(trained: Any) -> None:
    hospital = ask(trained, property_category="Non Residential", property_type="Hospital")
    container = ask(trained, property_category="Outdoor Structure", property_type="Small refuse/rubbish container")
    assert hospital.pumps.probabilities["1"] < 0.2
    assert container.pumps.probabilities["1"] > 0.6


def test_fields_that_mean_nothing_more_change_nothing(trained: Any) -> None:
    plain = ask(trained)
    assert ask(trained, latitude=51.4, longitude=-0.3) == plain
    assert ask(trained, pumps_already_out=100) == plain
    assert ask(trained, call_time="2024-05-14T10:00:00+00:00") == plain
    assert ask(trained, deployed_from_station=" ", station_ground=" ") == plain


def test_pump_order_and_station_change_nothing_about_how_many_pumps_are_needed(trained: Any) -> None:
    assert ask(trained, pump_order=2, deployed_from_station="Oak Hill").pumps == ask(trained).pumps


@pytest.mark.parametrize("moment", ["2024-10-27T01:30:00", "2024-03-31T01:30:00"])
def test_the_hour_that_happens_twice_and_the_one_that_never_does_are_answered(trained: Any, moment: str) -> None:
    answer = ask(trained, call_time=moment)
    assert 60 < answer.attendance_seconds.median < 900


def test_of_the_hour_that_happens_twice_the_first_is_answered(trained: Any) -> None:
    assert ask(trained, call_time="2024-10-27T01:30:00") == ask(trained, call_time="2024-10-27T00:30:00+00:00")


def test_a_call_without_a_station_is_answered_with_an_assumed_one_and_a_wider_interval(trained: Any) -> None:
    columns = later_columns(trained)
    blank = np.full(len(trained.later), "", dtype=object)
    told = predict(trained, columns).values["attendance_seconds"]
    guessed = predict(trained, {**columns, "deployed_from_station": blank})
    value = guessed.values["attendance_seconds"]
    assert isinstance(told, RegressionPrediction)
    assert isinstance(value, RegressionPrediction)
    assert guessed.extras["station_assumed"].all()
    assert (value.upper - value.lower).mean() > (told.upper - told.lower).mean()
    seconds = trained.later["attendance_seconds"].to_numpy()
    rows = ~np.isnan(seconds)
    assert ((seconds >= value.lower) & (seconds <= value.upper))[rows].mean() == pytest.approx(0.9, abs=0.05)


def test_a_call_of_unknown_kind_is_less_sure_of_its_pumps(trained: Any) -> None:
    known = ask(trained, property_category="Dwelling", property_type="House - single occupancy")
    unknown = ask(trained, incident_group=None, property_category="Dwelling", property_type="House - single occupancy")
    assert max(unknown.pumps.probabilities.values()) < 1
    assert unknown.pumps != known.pumps


def test_a_property_nobody_has_seen_is_answered(trained: Any) -> None:
    answer = ask(trained, property_category="Road Vehicle", property_type=NEW_KIND.name)
    assert sum(answer.pumps.probabilities.values()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("drift", ["new-roads", "new-vehicle"])
def test_drift_that_the_simulator_injects_makes_the_model_worse(trained: Any, drift: str) -> None:
    """Otherwise nobody could test that drift is noticed."""
    paths = simulator.write(trained.folder / drift, seed=12, rows=2_500, start="2024-05-10", days=40, drift=(drift,))
    drifted = score(trained.predictor, raw.build_examples(read(paths)), {})["metrics"]
    usual = score(trained.predictor, trained.later, {})["metrics"]
    if drift == "new-roads":
        assert drifted["attendance_seconds"]["mae"] > usual["attendance_seconds"]["mae"] + 5
    else:
        assert drifted["pumps"]["f1_weighted"] < usual["pumps"]["f1_weighted"] - 0.01


def test_a_closed_station_is_not_assumed_once_the_data_show_it(trained: Any, tmp_path: Path) -> None:
    paths = simulator.write(
        tmp_path / "closed", seed=13, rows=6_000, start="2024-05-10", days=150, drift=("station-closed",)
    )
    tables = read(paths)
    before = read(sorted((trained.folder / "files").iterdir()))
    both = {name: pd.concat([before[name], tables[name]], ignore_index=True) for name in ("incidents", "mobilisations")}
    examples = raw.build_examples({**both, "stations": tables["stations"]})
    features = QUICK.features
    labels = {t.name: examples[t.label].to_numpy(dtype=np.float64, na_value=np.nan) for t in QUICK.modelling.targets}
    reference = raw.lookup_tables({**both, "stations": tables["stations"]})
    fitted = features.prepare(features.fit(column_tools.from_frame(FireCall, examples), labels, reference, {}))
    number = closed_station(build_city())
    beside = {"easting": float(build_city().easting[number]), "northing": float(build_city().northing[number])}

    def assumed(moment: str) -> str:
        request = FireCall.model_validate({"call_time": moment, **beside}).model_dump()
        facts = features.features(column_tools.from_rows(FireCall, [request]), fitted, {}).extras
        return str(facts["station"][0])

    assert assumed("2024-02-01T12:00:00") == build_city().names[number]
    assert assumed("2024-09-01T12:00:00") != build_city().names[number]


def test_served_and_batched_answers_are_equal_bit_for_bit(trained: Any) -> None:
    columns = column_tools.select_rows(later_columns(trained), slice(0, 200))
    whole = predict(trained, columns)
    for number in range(0, 200, 9):
        alone = predict(trained, column_tools.select_rows(columns, slice(number, number + 1)))
        assert to_scalars(alone, 0) == to_scalars(whole, number)
