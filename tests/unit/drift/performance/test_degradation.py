"""Where the live error is beyond its limit, since when, and that nothing is found where nothing has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.core.params import Monitoring
from services.drift.performance.degradation import LossSample, change_point, find_degradations

PARAMS = Monitoring()
DAY = 86_400.0


def judged(count: int = 2_000, *, seed: int = 1, rise: Any = None, begins: float = 0.7) -> LossSample:
    """A fortnight of absolute errors in ten areas and four hours; ``rise`` gets the areas of those from the share
    ``begins`` of the window on and gives what is added."""
    draw = np.random.default_rng(seed)
    seconds = np.sort(draw.uniform(0, 14 * DAY, count))
    groups = {
        "area": draw.choice([f"area {n}" for n in range(10)], count).astype(object),
        "hour": draw.choice(["00-06", "06-12", "12-18", "18-24"], count).astype(object),
    }
    loss = draw.gamma(1.5, 30, count)
    if rise is not None:
        loss = loss + np.where(seconds > begins * 14 * DAY, rise(groups), 0.0)
    frozen = {name: draw.permutation(words)[:800] for name, words in groups.items()}
    return LossSample(
        "seconds", loss, np.floor(seconds / DAY).astype(np.int64), seconds, groups, draw.gamma(1.5, 30, 800), frozen
    )


@pytest.mark.parametrize("seed", range(20))
def test_an_unchanged_fortnight_breaches_nothing(seed: int) -> None:
    assert not find_degradations([judged(seed=seed)], PARAMS).breached


def test_one_area_is_named_with_how_much_and_since_when() -> None:
    found = find_degradations([judged(rise=lambda groups: 120.0 * (groups["area"] == "area 3"))], PARAMS)
    (breach,) = found.segments
    assert breach.segment is not None
    assert (breach.segment.column, breach.segment.value) == ("area", "area 3")
    assert breach.rise > 1
    assert breach.since == pytest.approx(0.7 * 14 * DAY, abs=1.5 * DAY)
    assert found.localised


def test_a_rise_everywhere_is_overall_and_not_put_on_one_area() -> None:
    found = find_degradations([judged(rise=lambda _: np.full(2_000, 40.0), begins=0.2)], PARAMS)
    assert [breach.segment for breach in found.overall] == [None]
    assert not found.localised


def test_two_areas_are_both_named_and_explain_the_rise() -> None:
    both = ("area 3", "area 7")
    found = find_degradations([judged(rise=lambda groups: 150.0 * np.isin(groups["area"], both), begins=0.3)], PARAMS)
    assert {breach.segment.value for breach in found.segments if breach.segment} == set(both)
    assert found.localised


ABSURD = 20_000.0
"""Of one outcome, where forty are usual."""


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [300, 2_000])
def test_one_absurd_outcome_does_not_look_like_a_change(seed: int, count: int) -> None:
    item = replace(judged(count, seed=seed), groups={}, reference_groups={})
    item.loss[np.random.default_rng(seed).integers(count)] = ABSURD
    assert not find_degradations([item], PARAMS).breached


@pytest.mark.parametrize("seed", range(20))
def test_one_absurd_outcome_does_not_hide_that_all_calls_got_worse(seed: int) -> None:
    worse = judged(400, seed=seed, rise=lambda _: np.full(400, 60.0), begins=0.0)
    item = replace(worse, groups={}, reference_groups={})
    assert find_degradations([item], PARAMS).overall
    item.loss[np.random.default_rng(seed).integers(400)] = ABSURD
    (found,) = find_degradations([item], PARAMS).overall
    assert found.value < 130, "what is told of it is not the absurd one"


def test_few_outcomes_are_not_judged() -> None:
    assert not find_degradations([judged(100, rise=lambda _: np.full(100, 200.0))], PARAMS).breached


def test_a_rise_below_the_limit_is_none_however_sure_it_is() -> None:
    assert not find_degradations(
        [judged(20_000, rise=lambda _: np.full(20_000, 0.1 * 45), begins=0.0)], PARAMS
    ).breached


def test_a_rise_beyond_the_limit_that_chance_may_be_is_none() -> None:
    """A third more on the average, of two hundred calls of which some take very long."""
    draw = np.random.default_rng(5)
    loss = draw.lognormal(3, 1.6, 200)
    loss *= 1.33 * 60 / loss.mean()
    nothing: dict[str, np.ndarray[Any, Any]] = {}
    usual = draw.gamma(9, 60 / 9, 5_000)
    item = LossSample("seconds", loss, np.arange(200) // 50, np.arange(200.0), nothing, usual, nothing)
    assert item.exceeds_limit(float(loss.mean()), float(usual.mean()), PARAMS, overall=True)
    assert not find_degradations([item], PARAMS).breached


def test_a_group_of_few_calls_is_not_named_however_bad_it_is() -> None:
    item = judged()
    few = np.flatnonzero(item.groups["area"] == "area 3")[-(PARAMS.segment_rows - 1) :]
    words = item.groups["area"].copy()
    words[few] = "the new estate"
    loss = item.loss.copy()
    loss[few] += 300.0
    named = find_degradations([replace(item, loss=loss, groups={"area": words})], PARAMS).segments
    assert "the new estate" not in {breach.segment.value for breach in named if breach.segment}


def test_one_of_many_groups_is_named_only_where_so_many_chances_cannot_be_it() -> None:
    """Two hundred streets of fifty calls, and in one of them they take more than twice as long: as the only group it
    would be named."""
    draw = np.random.default_rng(11)
    streets = np.repeat([f"street {n}" for n in range(200)], 50).astype(object)
    loss = draw.gamma(1.5, 30, 10_000)
    here = streets == "street 7"
    loss[here] *= 2.4 * 45 / loss[here].mean()
    day = draw.integers(0, 14, 10_000)
    item = LossSample(
        "seconds",
        loss,
        day,
        day * DAY,
        {"street": streets},
        draw.gamma(1.5, 30, 20_000),
        {"street": np.empty(0, object)},
    )
    alone = {"street": np.where(here, streets, "elsewhere").astype(object)}
    assert find_degradations([replace(item, groups=alone)], PARAMS).breached
    assert not find_degradations([item], PARAMS).breached


@pytest.mark.parametrize("count", [2_000, 8_000])
def test_one_stormy_day_does_not_make_an_area_worse(count: int) -> None:
    item = judged(count)
    stormy = item.loss + np.where((item.day == 12) & (item.groups["area"] == "area 3"), 250.0, 0.0)
    changed = LossSample(
        item.target, stormy, item.day, item.seconds, item.groups, item.reference_loss, item.reference_groups
    )
    assert not find_degradations([changed], PARAMS).breached


def test_several_stormy_days_of_many_are_no_change_of_the_whole_fortnight() -> None:
    """Calls of a day err together: sixty calls on each of fourteen days are fourteen observations, not 840."""
    draw = np.random.default_rng(4)
    day = np.repeat(np.arange(14), 60)
    loss = draw.gamma(1.5, 30, 840) + np.where(np.isin(day, (2, 6, 11)), 130.0, 0.0)
    usual, nothing = draw.gamma(1.5, 30, 2_000), dict[str, Any]()
    item = LossSample("seconds", loss, day, day * DAY, nothing, usual, nothing)
    assert item.exceeds_limit(float(loss.mean()), float(usual.mean()), PARAMS, overall=True)
    assert not find_degradations([item], PARAMS).breached


def test_what_was_so_from_the_beginning_has_no_turning_point() -> None:
    draw = np.random.default_rng(2)
    seconds = np.arange(400.0)
    assert change_point(draw.gamma(1.5, 60, 400), seconds, 45.0) is None
    later = np.concatenate([draw.gamma(1.5, 30, 300), draw.gamma(1.5, 90, 100)])
    assert change_point(later, seconds, 45.0) == pytest.approx(300, abs=25)


def biased(shift: float, *, seed: int = 1, few_frozen: int = 3) -> LossSample:
    """Probabilities that are right but on new roads, which came up in the last third; hardly any frozen row has one."""
    draw = np.random.default_rng(seed)
    count = 2_400
    seconds = np.sort(draw.uniform(0, 14 * DAY, count))
    new = (draw.random(count) < 0.15) & (seconds > 0.66 * 14 * DAY)
    chance = draw.uniform(0.2, 0.8, count)
    happened = draw.random(count) < np.minimum(chance + shift * new, 1.0)
    usual = draw.uniform(0.2, 0.8, 500)
    frozen = np.where(np.arange(500) < few_frozen, "never seen before", "known").astype(object)
    return LossSample(
        "priority",
        happened - chance,
        np.floor(seconds / DAY).astype(np.int64),
        seconds,
        {"road": np.where(new, "never seen before", "known").astype(object)},
        (draw.random(500) < usual) - usual,
        {"road": frozen},
        answer=chance,
    )


def test_a_group_to_which_it_never_happened_is_no_proof_of_itself() -> None:
    """Forty calls at 18 % of which none came true: their own spread is next to nothing, and chance does that often."""
    draw = np.random.default_rng(2)
    count, place = 1_000, np.repeat(["elsewhere", "green"], [960, 40]).astype(object)
    chance = np.where(place == "green", draw.uniform(0.16, 0.2, count), draw.uniform(0.2, 0.8, count))
    happened = np.where(place == "green", 0.0, draw.random(count) < chance)
    seconds = draw.uniform(0, 14 * DAY, count)
    usual = draw.uniform(0.2, 0.8, 5_000)
    item = LossSample(
        "late",
        chance - happened,
        np.floor(seconds / DAY).astype(np.int64),
        seconds,
        {"station": place},
        usual - (draw.random(5_000) < usual),
        {"station": np.repeat("elsewhere", 5_000).astype(object)},
        answer=chance,
        under=False,
    )
    assert not find_degradations([item], PARAMS).breached


def test_what_is_said_and_what_happened_are_of_the_same_calls() -> None:
    """Of the last quarter alone, where that is what gives the change away."""
    draw = np.random.default_rng(3)
    count = 4_000
    seconds = np.sort(draw.uniform(0, 14 * DAY, count))
    late = seconds > 0.75 * 14 * DAY
    chance = np.where(late, 0.8, 0.2)
    happened = draw.random(count) < np.where(late, 0.5, 0.2)
    usual = np.full(5_000, 0.4)
    item = LossSample(
        "late",
        chance - happened,
        np.floor(seconds / DAY).astype(np.int64),
        seconds,
        {"station": draw.choice(["elsewhere", "green"], count).astype(object)},
        usual - (draw.random(5_000) < usual),
        {},
        answer=chance,
        under=False,
    )
    breach = find_degradations([item], PARAMS).segments[0]
    assert breach.predicted == pytest.approx(0.8, abs=0.02)
    assert breach.predicted - breach.value == pytest.approx(0.5, abs=0.1)


def test_a_probability_that_is_too_low_on_new_roads_is_found_though_their_loss_is_no_larger() -> None:
    (breach,) = find_degradations([biased(0.3)], PARAMS).segments
    assert breach.segment is not None
    assert breach.segment.value == "never seen before"
    assert breach.rise == pytest.approx(0.3, abs=0.1)
    assert breach.under


@pytest.mark.parametrize("seed", range(10))
def test_calibrated_probabilities_are_not_biased_anywhere(seed: int) -> None:
    assert not find_degradations([biased(0.0, seed=seed)], PARAMS).breached
