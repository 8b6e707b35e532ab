"""Outcomes that do not go with the calls are doubted; a changed world is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from services.core.messages import render
from services.drift.label_quality import LabelSample, SuspectLabels, find_suspect_labels

NOISE = 45.0


class Calls(NamedTuple):
    centre: Any
    answer: Any
    label: Any


def as_they_are(calls: Calls) -> Any:
    return calls.label


def reports(
    count: int = 900, *, seed: int = 1, change: Callable[[Calls], Any] = as_they_are, since: float = 0.5
) -> LabelSample:
    """Three centres' outcomes over a fortnight; ``change`` is applied to those that arrive after ``since``."""
    draw = np.random.default_rng(seed)
    centre = draw.choice(["north", "south", "east"], count, p=[0.5, 0.3, 0.2]).astype(object)
    answer = draw.gamma(8, 40, count)
    label = answer + draw.normal(0, NOISE, count)
    received = np.sort(draw.uniform(0, 14 * 86_400, count))
    late = np.arange(count) >= since * count
    label = np.where(late, change(Calls(centre, answer, label)), label)
    frozen = draw.gamma(8, 40, 800)
    return LabelSample(
        target="seconds",
        unit="s",
        centre=centre,
        received=received,
        answer=answer,
        label=label,
        frozen_answer=frozen,
        frozen_label=frozen + draw.normal(0, NOISE, 800),
        quantity=True,
    )


def of(found: list[SuspectLabels]) -> dict[str, str]:
    return {doubt.centre: doubt.code for doubt in found}


@pytest.mark.parametrize("seed", range(5))
def test_ordinary_outcomes_are_believed(seed: int) -> None:
    assert find_suspect_labels([reports(seed=seed)]) == []


def test_shuffled_labels_of_one_centre_are_doubted_from_when_they_began() -> None:
    def shuffled(calls: Calls) -> Any:
        mine = calls.centre == "south"
        mixed = calls.label.copy()
        mixed[mine] = np.random.default_rng(3).permutation(calls.label[mine])
        return mixed

    given = reports(change=shuffled)
    (doubt,) = find_suspect_labels([given])
    assert (doubt.centre, doubt.code) == ("south", "unconnected")
    assert doubt.since == pytest.approx(7 * 86_400, abs=2 * 86_400)
    assert "mixed up" in render(doubt.reason, "en")
    assert "mélangés" in render(doubt.reason, "fr")
    assert re.search(r"les réponses est de -?0,\d\d, d'ordinaire 0,\d\d\.", render(doubt.reason, "fr"))


def test_shuffled_labels_of_all_centres_are_doubted_too() -> None:
    given = reports(1_500, change=lambda calls: np.random.default_rng(3).permutation(calls.label))
    assert of(find_suspect_labels([given])) == dict.fromkeys(("north", "south", "east"), "unconnected")


def test_one_centres_times_all_sixty_seconds_short_are_doubted() -> None:
    given = reports(change=lambda calls: np.where(calls.centre == "south", calls.label - 60, calls.label))
    (doubt,) = find_suspect_labels([given])
    assert (doubt.centre, doubt.code) == ("south", "shifted")
    assert doubt.value == pytest.approx(-60, abs=15)
    assert doubt.since == pytest.approx(7 * 86_400, abs=2 * 86_400)


def test_a_shift_that_was_there_from_the_beginning_shows_against_the_other_centres() -> None:
    given = reports(change=lambda calls: np.where(calls.centre == "north", calls.label - 60, calls.label), since=0.0)
    assert of(find_suspect_labels([given])) == {"north": "shifted"}


def test_slower_roads_everywhere_are_a_changed_world_and_no_clock() -> None:
    assert find_suspect_labels([reports(change=lambda calls: calls.label + 0.3 * calls.answer)]) == []
    assert find_suspect_labels([reports(change=lambda calls: calls.label + 70)]) == []


def test_slower_roads_of_one_centre_cost_long_ways_more_and_are_believed() -> None:
    def slower(calls: Calls) -> Any:
        return np.where(calls.centre == "south", calls.label + 0.4 * (calls.answer - 80), calls.label)

    given = reports(change=slower)
    assert find_suspect_labels([given]) == []


def test_a_closed_station_in_a_tenth_of_the_calls_is_believed() -> None:
    def closed(calls: Calls) -> Any:
        return np.where(np.arange(len(calls.label)) % 10 == 0, calls.label + 150, calls.label)

    assert find_suspect_labels([reports(change=closed)]) == []


def test_a_shift_of_most_calls_of_a_centre_and_not_of_all_is_no_clock() -> None:
    """Two of three calls take longer by as much, near and far alike: a clock would have moved the third too."""

    def most(calls: Calls) -> Any:
        mine = (calls.centre == "south") & (np.random.default_rng(7).random(len(calls.label)) < 0.67)
        return np.where(mine, calls.label + 160, calls.label)

    assert find_suspect_labels([reports(1_500, change=most)]) == []


def test_few_outcomes_say_nothing() -> None:
    given = reports(90, change=lambda calls: calls.label - 60, since=0.0)
    assert find_suspect_labels([given]) == []
