"""What a look's findings amount to, beside what the looks before it found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from services.core.monitoring.drift_state import MonitoringRunRow
from services.core.params import Monitoring
from services.drift.column_drift import ColumnDrift
from services.drift.performance.degradation import Degradation, Degradations
from services.drift.statistics import Segment
from services.drift.verdict import MonitoringResult, decide_verdict
from tests.toy.declaration import USE_CASE

END = datetime(2026, 3, 15, 12, tzinfo=UTC)
PARAMS = Monitoring()


def run(*, days_ago: float = 0.0, version: str = "1", **found: Any) -> MonitoringRunRow:
    moment = END - timedelta(days=days_ago)
    made: dict[str, Any] = {
        "verdict": "stable",
        "breached": False,
        "inputs_drifted": False,
        "summary": {"reasons": [], "drift": {"columns": []}},
    }
    return MonitoringRunRow(window_to=moment, outcomes_until=moment, model_version=version, **(made | found))


def window(*, last_day: int = 100) -> pd.DataFrame:
    """A fortnight of a hundred calls a day, but for the last."""
    counts = [100] * 13 + [last_day]
    times = [
        END - timedelta(days=13 - day) - timedelta(hours=23 * (number + 0.5) / count)
        for day, count in enumerate(counts)
        for number in range(count)
    ]
    return pd.DataFrame({"event_time": pd.to_datetime(sorted(times)), "call_repeats": 1})


def rise(*, days_ago: float) -> MonitoringResult:
    """The east takes twice as long since so many days."""
    since = (END - timedelta(days=days_ago)).timestamp()
    breach = Degradation("seconds", Segment("town", "east"), 120.0, 60.0, 80, 1e-9, since)
    return MonitoringResult(findings=Degradations(segments=[breach]), judged=900)


def left_out() -> MonitoringResult:
    drifted = ColumnDrift(
        name="town",
        kind="word",
        measure="missing",
        value=0.5,
        threshold=0.15,
        p_value=0.0,
        drifted=True,
        missing_reference=0.0,
        missing_current=0.5,
        unseen=0.0,
        code="missing",
        importance=0.1,
    )
    return MonitoringResult(columns=[drifted], judged=900)


def verdict(
    look: MonitoringResult, *earlier: MonitoringRunRow, frame: pd.DataFrame | None = None
) -> tuple[str, set[str]]:
    calls = window() if frame is None else frame
    found, reasons = decide_verdict(run(), USE_CASE, calls, look, earlier=earlier, params=PARAMS)
    return found, {reason.code for reason in reasons}


def test_a_rise_that_lasts_and_was_seen_before_is_drift() -> None:
    assert verdict(rise(days_ago=3), run(days_ago=1, breached=True)) == ("drifted", {"error_segment"})


def test_a_rise_of_a_few_hours_is_watched_even_if_it_was_seen_before() -> None:
    assert verdict(rise(days_ago=0.5), run(days_ago=0.1, breached=True)) == ("watch", {"error_segment"})


@pytest.mark.parametrize(
    "earlier",
    [
        run(days_ago=1),
        run(days_ago=0, breached=True),
        run(days_ago=1, breached=True, version="0"),
    ],
    ids=["a quiet look", "a look at the same calls", "a look at another version"],
)
def test_a_rise_that_no_look_at_other_calls_confirms_is_watched(earlier: MonitoringRunRow) -> None:
    assert verdict(rise(days_ago=3), earlier)[0] == "watch"


def test_inputs_that_have_drifted_as_a_whole_are_drift_once_confirmed() -> None:
    look = MonitoringResult(share=PARAMS.drifted_share, judged=900)
    assert verdict(look, run(days_ago=1, inputs_drifted=True))[0] == "drifted"
    assert verdict(look, run(days_ago=1))[0] == "stable"


def test_what_callers_leave_out_is_news_once() -> None:
    habit = {"reasons": [{"code": "input_missing", "column": "town"}], "drift": {"columns": []}}
    assert verdict(left_out()) == ("watch", {"input_missing"})
    assert verdict(left_out(), run(days_ago=1), run(days_ago=9, summary=habit)) == ("stable", {"input_missing"})
    assert verdict(left_out(), run(days_ago=1, summary=habit), run(days_ago=9))[0] == "watch", "a new habit"


@pytest.mark.parametrize(("last_day", "expected"), [(100, "stable"), (10, "watch"), (600, "watch")])
def test_a_day_with_far_more_or_fewer_calls_is_told(last_day: int, expected: str) -> None:
    assert verdict(MonitoringResult(judged=900), frame=window(last_day=last_day))[0] == expected


@pytest.mark.parametrize(("surely", "expected"), [(True, "watch"), (False, "stable")])
def test_an_estimate_above_its_limit_is_told_where_chance_is_ruled_out(surely: bool, expected: str) -> None:
    entry = {"target": "seconds", "count": 400, "value": 80.0, "reference": 60.0, "surely_above": surely}
    assert verdict(MonitoringResult(judged=900, estimates=[entry]))[0] == expected
