"""Which calls a look sees, on toy deliveries."""

from __future__ import annotations

import pandas as pd
import pytest
from sqlalchemy import Engine

from services.core.headers import SIMULATED
from services.drift.window import read_window
from tests.integration.drift.toy_world import deliveries, store
from tests.toy.declaration import USE_CASE

pytestmark = pytest.mark.usefixtures("toy")


def seen(engine: Engine) -> pd.DataFrame:
    with engine.connect() as connection:
        return read_window(connection, USE_CASE, (SIMULATED,), days=30, maximum=5_000, held=[])


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
