"""Outcomes come after a while, some late, some corrected, some never."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from services.core import use_case_registry
from services.prediction.outcomes.schemas import OutcomeSchemas
from services.simulator.outcome_reports import OutcomeReport, ReportQueue, plan_reports
from services.simulator.scenario import OutcomeReporting
from tests.toy.declaration import USE_CASE
from tests.unit.simulator.conftest import START

LABELS = {"seconds": 300.0, "late": False, "size": "small"}


def report(labels: dict[str, Any] | None = None) -> OutcomeReport:
    return OutcomeReport("toy", "simulated-north", "r-1", START, LABELS if labels is None else labels, None)


def many(count: int = 4_000, **how: float) -> list[list[tuple[timedelta, OutcomeReport]]]:
    chance = np.random.default_rng(7)
    return [plan_reports(chance, OutcomeReporting.model_validate(how), USE_CASE, report(), START) for _ in range(count)]


def test_some_are_never_reported() -> None:
    assert np.mean([not each for each in many(never=0.25)]) == pytest.approx(0.25, abs=0.03)


def test_delays_lie_around_their_median_and_late_ones_far_behind() -> None:
    found = many(never=0, corrected=0, late=0.1, late_times=50, median_minutes=30, spread=0.3)
    minutes = {kind: [d / timedelta(minutes=1) for [(d, r)] in found if r.late == kind] for kind in (False, True)}
    assert np.median(minutes[False]) == pytest.approx(30, rel=0.05)
    assert np.median(minutes[True]) == pytest.approx(1_500, rel=0.1)
    assert len(minutes[True]) / len(found) == pytest.approx(0.1, abs=0.02)


def test_a_slip_is_corrected_by_a_second_report() -> None:
    for first, second in many(never=0, corrected=1.0, count=200):
        assert first[0] < second[0]
        assert first[1].labels != LABELS
        assert set(first[1].labels) == set(LABELS)
        assert (second[1].labels, second[1].correction) == (LABELS, True)


def test_a_slip_does_not_contradict_itself_and_stays_within_bounds() -> None:
    use_case = use_case_registry.get("fire_response")
    labels = {"attendance_seconds": 1_100.0, "over_360s": True, "pumps": "2"}
    schemas, chance = OutcomeSchemas(use_case, 10), np.random.default_rng(3)
    how = OutcomeReporting.model_validate({"never": 0, "corrected": 1.0})
    for _ in range(200):
        first, _ = plan_reports(chance, how, use_case, replace(report(labels), use_case=use_case.name), START)
        assert schemas.checked({"incident_id": "x", "labels": dict(first[1].labels)})[1] == []


def test_it_happened_when_it_was_known() -> None:
    for [(delay, each)] in many(never=0, corrected=0, count=50):
        assert each.happened_at == START + delay


def test_what_nobody_knows_is_not_reported() -> None:
    assert plan_reports(np.random.default_rng(1), OutcomeReporting(never=0), USE_CASE, report({}), START) == []


def test_reports_fall_due_in_order_and_no_more_wait_than_may() -> None:
    waiting = ReportQueue(limit=3)
    for at in (5.0, 1.0, 3.0, 2.0):
        waiting.put(at, OutcomeReport("toy", "c", f"{at}", START, LABELS, {"late": {"value": 0.5}}))
    assert (len(waiting), waiting.dropped) == (3, 1)
    assert [each.request_id for each in waiting.due(3.0, 10)] == ["1.0", "3.0"]
    assert [each.request_id for each in waiting.due(9.0, 10)] == ["5.0"]
