"""What stands against a retraining by signal."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.core.errors import ConflictError, VigieError
from services.core.jobs.retraining import RetrainingLimits
from services.core.messages import render
from services.core.model_registry import promotion_freeze
from services.core.monitoring.drift_state import MonitoringRunRow
from services.drift.actions import MonitoringAction, start_retraining

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
"""Of the calls; the machine's clock is another."""
LIMITS = RetrainingLimits(cooldown_hours=24, daily=2, outcomes=300)


class Desk:
    def __init__(self, refusal: VigieError | None = None) -> None:
        self.asked: list[str] = []
        self._refusal = refusal

    def retrain(self, use_case: str, run_id: str, reason: str) -> str:  # noqa: ARG002
        if self._refusal is not None:
            raise self._refusal
        self.asked.append(reason)
        return "run-1"

    def roll_back(self, use_case: str, version: int, reason: str) -> str:
        raise AssertionError((use_case, version, reason))


def look(*, calls_until: datetime = NOW, finished: datetime | None = None, action: str = "none") -> MonitoringRunRow:
    moment = finished or datetime.now(UTC)
    return MonitoringRunRow(
        id=uuid.uuid4().hex,
        use_case="toy",
        started_at=moment,
        finished_at=moment,
        window_to=calls_until,
        outcomes_until=moment,
        model_version="1",
        verdict="drifted",
        breached=True,
        inputs_drifted=False,
        action=action,
        report=False,
        summary={},
    )


def kept(engine: Engine, *runs: MonitoringRunRow) -> None:
    with Session(engine) as session, session.begin():
        session.add_all(runs)


def asked(engine: Engine, desk: Desk, *, learnable: int = 500) -> MonitoringAction:
    found: Any = start_retraining(
        engine, desk, look(), reasons="The east takes longer.", learnable=learnable, limits=LIMITS
    )
    return found


def test_where_nothing_stands_against_it_one_is_started(engine: Engine) -> None:
    desk = Desk()
    kept(engine, look(calls_until=NOW - timedelta(hours=30), action="retraining"))
    done = asked(engine, desk)
    assert (done.kind, done.run_id, desk.asked) == ("retraining", "run-1", ["The east takes longer."])


def test_too_few_outcomes_since_the_change_are_nothing_to_learn_from(engine: Engine) -> None:
    desk = Desk()
    done = asked(engine, desk, learnable=299)
    assert (done.kind, desk.asked) == ("none", [])
    assert "300" in render(done.message, "fr")


def test_the_last_one_needs_time_to_show_what_it_did(engine: Engine) -> None:
    desk = Desk()
    kept(engine, look(calls_until=NOW - timedelta(hours=10), action="retraining"))
    done = asked(engine, desk)
    assert (done.kind, desk.asked) == ("none", [])
    assert "10 h ago" in render(done.message, "en")


@pytest.mark.parametrize(
    ("hours", "action"),
    [(-2, "retraining"), (10, "rollback"), (10, "none")],
    ids=["calls of an older window", "a rollback", "a look that did nothing"],
)
def test_what_is_no_recent_retraining_needs_no_time(engine: Engine, hours: int, action: str) -> None:
    desk = Desk()
    kept(engine, look(calls_until=NOW - timedelta(hours=hours), action=action))
    assert asked(engine, desk).kind == "retraining"


def test_a_day_has_its_limit_whatever_the_calls_own_time(engine: Engine) -> None:
    desk = Desk()
    kept(engine, *(look(calls_until=NOW - timedelta(days=days), action="retraining") for days in (3, 6)))
    assert "2 were started within 24 hours" in render(asked(engine, desk).message, "en")
    assert desk.asked == []


def test_what_was_started_the_day_before_does_not_count_today(engine: Engine) -> None:
    desk = Desk()
    yesterday = datetime.now(UTC) - timedelta(hours=25)
    kept(
        engine,
        *(look(calls_until=NOW - timedelta(days=days), finished=yesterday, action="retraining") for days in (3, 6)),
    )
    assert asked(engine, desk).kind == "retraining"


def test_nothing_is_started_while_promotions_are_frozen(engine: Engine) -> None:
    desk = Desk()
    with engine.begin() as connection:
        promotion_freeze.freeze_promotions(connection, reason="a storm", by="ada")
    assert "a storm" in render(asked(engine, desk).message, "en")
    assert desk.asked == []


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (ConflictError("A retraining of toy has not ended."), "No retraining: A retraining of toy has not ended."),
        (VigieError("The gateway does not answer."), "could not be started: The gateway does not answer."),
    ],
)
def test_a_refusal_is_told_and_counts_for_nothing(engine: Engine, refusal: VigieError, said: str) -> None:
    done = asked(engine, Desk(refusal))
    assert done.kind == "none"
    assert render(done.message, "en").endswith(said)
