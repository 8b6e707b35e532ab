"""The scenarios that there are, and that each has the shape that its name promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from services.core import use_case_registry
from services.core.contract.columns import column_types
from services.core.errors import NotFoundError, VigieError
from services.simulator import scenario
from services.simulator.plan import CHANGED_SUFFIX, arrival_intensity, make_plan

NAMES = ["bad-client", "new-roads", "quiet-night", "rush", "station-closed", "storm", "unchanged-month"]
NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)


def test_there_are_these_scenarios() -> None:
    assert scenario.list_scenarios() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_names_what_there_is(name: str) -> None:
    for use_case, played in scenario.load_scenario(name).use_cases.items():
        declared = use_case_registry.get(use_case)
        assert set(played.left_out) <= set(column_types(declared.serving.request))
        if played.change is not None:
            assert set(played.change.drift) <= set(declared.simulator.DRIFTS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_a_simulation_ends_before_now(name: str) -> None:
    plan = make_plan(scenario.load_scenario(name), now=NOW)
    assert plan.clock.at(plan.seconds) <= NOW + timedelta(seconds=1)


def test_a_quiet_night_is_quiet_and_at_night() -> None:
    plan = make_plan(scenario.load_scenario("quiet-night"), now=NOW)
    local = plan.clock.start.astimezone(plan.clock.zone)
    assert (local.hour, local.minute) == (23, 0)
    of = arrival_intensity(plan.scenario, plan.clock, plan.rate, plan.seconds)
    assert max(of(elapsed) for elapsed in np.linspace(0, plan.seconds, 50)) < plan.rate


def test_a_storm_is_a_burst() -> None:
    plan = make_plan(scenario.load_scenario("storm"), now=NOW)
    of = arrival_intensity(plan.scenario, plan.clock, plan.rate, plan.seconds)
    assert of(plan.seconds / 2) > 5 * of(0.01)


def test_new_roads_come_gradually_and_for_accidents() -> None:
    change = scenario.load_scenario("new-roads").use_cases["road_accidents"].change
    assert change is not None
    assert [change.share(part) for part in (0.0, 0.5, 1.0)] == [0.0, pytest.approx(0.5), 1.0]


def test_a_station_is_closed_from_one_day_to_the_next() -> None:
    change = scenario.load_scenario("station-closed").use_cases["fire_response"].change
    assert change is not None
    assert (change.share(0.499), change.share(0.5)) == (0.0, 1.0)


def test_a_bad_client_is_mostly_hostile() -> None:
    assert scenario.load_scenario("bad-client").hostile > 0.5


def test_a_rush_is_steady() -> None:
    plan = make_plan(scenario.load_scenario("rush"), rate=400.0, now=NOW)
    of = arrival_intensity(plan.scenario, plan.clock, plan.rate, plan.seconds)
    assert {of(elapsed) for elapsed in (0.0, 10.0, 200.0)} == {400.0}


def test_all_use_cases_take_part_where_the_scenario_names_none() -> None:
    assert set(make_plan(scenario.load_scenario("storm")).use_cases) == set(use_case_registry.names())


def test_what_is_asked_for_comes_before_what_the_scenario_says() -> None:
    plan = make_plan(
        scenario.load_scenario("new-roads"),
        rate=3.0,
        seconds=9.0,
        speed=2.0,
        use_cases=["toy"],
        starts="2026-01-05T06:00",
        seed=8,
    )
    assert (plan.rate, plan.seconds, plan.clock.speed, plan.seed) == (3.0, 9.0, 2.0, 8)
    assert list(plan.use_cases) == ["toy"]
    assert plan.clock.start == datetime(
        2026, 1, 5, 6, tzinfo=ZoneInfo(use_case_registry.get("toy").data.timezone or "UTC")
    )


def test_a_changed_world_stands_beside_the_ordinary_one() -> None:
    worlds = make_plan(scenario.load_scenario("new-roads"), seed=1).worlds()
    assert set(worlds) == {"road_accidents", "road_accidents" + CHANGED_SUFFIX}
    assert worlds["road_accidents"].drift == ()
    assert worlds["road_accidents" + CHANGED_SUFFIX].drift == ("new-roads",)
    assert worlds["road_accidents"].seed != worlds["road_accidents" + CHANGED_SUFFIX].seed


def test_a_name_that_there_is_not_is_said_with_those_that_there_are() -> None:
    with pytest.raises(NotFoundError) as caught:
        scenario.load_scenario("../../etc/passwd")
    assert "storm" in caught.value.expected


def test_a_wrong_file_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("title: Odd\nrate: -1\nseconds: 2\n")
    monkeypatch.setattr(scenario, "SCENARIO_FOLDER", tmp_path)
    with pytest.raises(VigieError, match=r"odd\.yaml"):
        scenario.load_scenario("odd")
