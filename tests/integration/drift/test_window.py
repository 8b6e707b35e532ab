"""Which calls a look sees, on toy deliveries."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import Engine

from services.core.headers import SIMULATED
from services.drift import run_store
from services.drift.verdict import new_run
from services.drift.window import count_unmatched, read_reports, read_window
from tests.integration.drift.toy_world import BEGIN, deliveries, store
from tests.toy.declaration import USE_CASE

pytestmark = pytest.mark.usefixtures("toy")


def seen(engine: Engine) -> pd.DataFrame:
    with engine.connect() as connection:
        return read_window(connection, USE_CASE, (SIMULATED,), days=30, maximum=5_000, held=[])


def test_a_call_from_the_future_counts_by_its_arrival_and_moves_no_window(engine: Engine) -> None:
    rows = deliveries(60)
    store(engine, rows)
    before = seen(engine)
    store(engine, rows.iloc[-1:].assign(distance=7.0), dated=timedelta(days=36 * 365))
    after = seen(engine)
    assert len(after) == len(before) + 1
    assert after["event_time"].max() == before["event_time"].max()


def test_a_few_calls_of_another_time_move_no_window_and_many_do(engine: Engine) -> None:
    store(engine, deliveries(100), dated=timedelta(days=-3_000))
    store(engine, deliveries(19, seed=3))
    assert len(seen(engine)) == 100
    store(engine, deliveries(10, seed=4))
    assert len(seen(engine)) == 29


def test_the_window_goes_by_arrival_too(engine: Engine) -> None:
    rows = deliveries(200, days=13.0)
    store(engine, rows, dated=timedelta(hours=-1))
    with engine.connect() as connection:
        found = read_window(connection, USE_CASE, (SIMULATED,), days=3, maximum=5_000, held=[])
    assert found["call_received_at"].min() > rows["called_at"].max() - timedelta(days=3)


def waiting(engine: Engine, maximum: int = 5_000, until: datetime | None = None) -> pd.DataFrame:
    with engine.connect() as connection:
        moment = until or datetime.now(UTC)
        return read_reports(connection, USE_CASE, (SIMULATED,), days=14, maximum=maximum, until=moment)


def looked(engine: Engine, until: datetime) -> None:
    at = datetime.now(UTC)
    run = new_run(uuid.uuid4().hex, "toy", at, None, pd.DataFrame())
    run.verdict, run.outcomes_until, run.summary = "stable", until, {}
    run_store.save_run(engine, run, 5)


def test_outcomes_of_old_calls_are_looked_at_when_they_arrive(engine: Engine) -> None:
    store(engine, deliveries(30), dated=timedelta(days=-200))
    store(engine, deliveries(40, seed=3))
    assert len(seen(engine)) == 40
    assert len(waiting(engine)) == 70


def test_what_waits_is_read_oldest_first_and_what_was_seen_fills_the_rest(engine: Engine) -> None:
    rows = deliveries(100)
    store(engine, rows)
    first = waiting(engine, maximum=40)
    assert len(first) == 40
    looked(engine, first["call_stored_at"].max().to_pydatetime())
    second = waiting(engine, maximum=80)
    assert len(second) == 80
    assert second["call_received_at"].max() == rows["called_at"].max()
    assert (second["call_stored_at"] > first["call_stored_at"].max()).sum() == 60


def test_every_answer_to_a_repeated_question_is_looked_at(engine: Engine) -> None:
    rows = deliveries(20)
    store(engine, pd.concat([rows, *[rows.iloc[[3]]] * 30], ignore_index=True))
    assert len(waiting(engine)) == 50


def test_reports_that_name_no_call_are_counted_by_centre_after_a_day(engine: Engine) -> None:
    store(engine, deliveries(60).assign(centre="north"))
    store(engine, deliveries(40, seed=3).assign(centre="south"), named="case-")
    last = BEGIN + timedelta(days=14)
    with engine.connect() as connection:
        found = count_unmatched(connection, "toy", (SIMULATED,), days=20, now=last + timedelta(days=1))
        early = count_unmatched(connection, "toy", (SIMULATED,), days=20, now=BEGIN + timedelta(hours=20))
    assert [tuple(entry) for entry in found] == [("north", 60, 0), ("south", 40, 40)]
    assert early == [], "a report may come before its call is known"


def test_the_same_question_asked_again_is_one_observation_and_all_calls_are_counted(engine: Engine) -> None:
    rows = deliveries(20)
    store(engine, pd.concat([rows, *[rows.iloc[[3]]] * 30], ignore_index=True))
    window = seen(engine)
    assert (len(window), int(window["call_repeats"].sum())) == (20, 50)
    assert sorted(window["call_repeats"])[-2:] == [1, 31]
    assert window["event_time"].is_monotonic_increasing


def test_of_the_same_question_the_call_with_an_outcome_stands_for_all(engine: Engine) -> None:
    rows = deliveries(5)
    store(engine, rows)
    store(engine, rows, reported={"seconds": None, "late": None, "size": None})
    window = seen(engine)
    assert len(window) == 5
    assert window["seconds"].notna().all()


def test_versions_are_judged_on_their_own_answers_to_the_same_question(engine: Engine) -> None:
    rows = deliveries(5)
    store(engine, rows, version=1)
    store(engine, rows, version=2)
    assert sorted(seen(engine)["call_version"]) == ["1"] * 5 + ["2"] * 5
