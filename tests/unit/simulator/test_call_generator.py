"""The calls of a simulation: the same for the same seed, sent at the simulated moment, and marked."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pytest

from services.core.headers import CALL_KIND_HEADER
from services.simulator.call_generator import SimulatedCall, generate_calls, replay_calls
from services.simulator.plan import CENTRES
from services.simulator.scenario import UseCaseScenario
from tests.toy.declaration import ToyRequest
from tests.unit.simulator.conftest import START, example, plan, pools


def made(**changes: object) -> list[SimulatedCall]:
    return list(generate_calls(plan(**changes), pools()))  # type: ignore[arg-type]


def requests(found: list[SimulatedCall]) -> list[dict[str, object]]:
    return [json.loads(call.body) for call in found if not call.hostile]


def test_the_same_seed_gives_the_same_calls_and_reports() -> None:
    assert made(seed=4) == made(seed=4)
    assert [call.body for call in made(seed=4)] != [call.body for call in made(seed=5)]


def test_every_call_is_one_that_the_use_case_takes() -> None:
    for request in requests(made()):
        request.pop("incident_id")
        ToyRequest.model_validate(request)


def test_a_calls_time_is_the_simulated_moment() -> None:
    for call in made():
        said = datetime.fromisoformat(json.loads(call.body)["called_at"])
        assert abs(said - (START + timedelta(seconds=60 * call.elapsed))) < timedelta(milliseconds=2)


def test_a_call_comes_from_the_same_hour_of_the_week() -> None:
    pool = pools()["toy"]
    moment = START + timedelta(days=3, hours=14, minutes=10)
    drawn = np.random.default_rng(1)
    places = {pool._number(drawn, moment) for _ in range(200)}
    hours = {datetime.fromtimestamp(pool.examples[place].at, START.tzinfo) for place in places}
    assert {(hour.weekday(), hour.hour) for hour in hours} == {(3, 14)}
    assert len(places) > 1


def test_no_example_comes_again_before_the_others_of_its_hour_have_come() -> None:
    pool = pools()["toy"]
    drawn, moment = np.random.default_rng(1), START + timedelta(days=3, hours=14, minutes=10)
    here = sum(
        (at := datetime.fromtimestamp(item.at, START.tzinfo)).weekday() == 3 and at.hour == 14 for item in pool.examples
    )
    first = [pool.draw(drawn, moment).labels["seconds"] for _ in range(here)]
    assert len(set(first)) == here
    assert pool.draw(drawn, moment).labels["seconds"] in first


def test_as_many_examples_are_thought_up_as_calls_will_be_drawn() -> None:
    assert {world.rows for world in plan(rate=20.0, seconds=600.0, examples=50).worlds().values()} == {12_000}
    assert {world.rows for world in plan(rate=1.0, seconds=60.0, examples=500).worlds().values()} == {500}


def test_everything_is_marked_as_simulated() -> None:
    for call in made(hostile=0.5):
        assert call.headers[CALL_KIND_HEADER] in {"simulated", "drill"}
        assert call.headers[CALL_KIND_HEADER] == "simulated" or call.hostile == "unknown_kind"


def test_calls_come_from_all_centres_each_with_its_share() -> None:
    counted = Counter(call.centre for call in made(seconds=300))
    assert set(counted) == set(CENTRES)
    for centre, share in CENTRES.items():
        assert counted[centre] / counted.total() == pytest.approx(share, abs=0.03)


def test_request_ids_are_those_of_this_simulation_alone() -> None:
    found = made()
    assert len({call.request_id for call in found}) == len(found)
    assert all(call.headers["X-Request-Id"] == call.request_id for call in found)
    assert all(json.loads(call.body)["incident_id"] == call.request_id for call in found)


def test_a_world_changes_gradually() -> None:
    played = UseCaseScenario.model_validate({"change": {"drift": ["slow-east"], "begins": 0.25, "complete": 0.75}})
    found = made(played=played, seconds=400, steady=True)
    west = np.array([request["town"] == "west" for request in requests(found)])
    quarters = [part.mean() for part in np.array_split(west, 4)]
    assert quarters[0] == 0.0
    assert 0.1 < quarters[1] < 0.4
    assert 0.6 < quarters[2] < 0.9
    assert quarters[3] == 1.0


def test_a_world_changes_from_one_moment_to_the_next() -> None:
    played = UseCaseScenario.model_validate({"change": {"drift": ["slow-east"], "begins": 0.5, "complete": 0.5}})
    west = np.array([request["town"] == "west" for request in requests(made(played=played, steady=True))])
    assert not west[: len(west) // 2].any()
    assert west[len(west) // 2 :].all()


def test_callers_leave_out_what_the_scenario_says() -> None:
    played = UseCaseScenario.model_validate({"left_out": {"town": 0.5}})
    said = ["town" in request for request in requests(made(played=played, seconds=120))]
    assert np.mean(said) == pytest.approx(0.5, abs=0.05)
    assert all("town" in example.request for example in pools()["toy"].examples)


def test_a_replay_is_in_the_order_of_time_and_so_many_times_as_fast() -> None:
    examples = [example(number, START + timedelta(minutes=number)) for number in range(50)]
    found = list(replay_calls(plan(speed=60.0, seconds=30.0), examples))
    assert [call.elapsed for call in found] == [pytest.approx(number) for number in range(30)]
    assert [json.loads(call.body)["called_at"] for call in found][:2] == [
        START.isoformat(),
        (START + timedelta(minutes=1)).isoformat(),
    ]
