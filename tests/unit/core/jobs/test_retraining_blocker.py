"""What stands against an automatic retraining; its limits are tested in ``tests/unit/drift/test_actions.py``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from services.core.database.connection import Base
from services.core.jobs.retraining import retraining_blocker
from services.core.jobs.tables import RunRow
from services.core.messages import render
from services.core.model_registry import promotion_freeze


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def store(engine: Engine, state: str, use_case: str = "toy", kind: str = "retrain") -> None:
    with Session(engine) as session, session.begin():
        session.add(
            RunRow(
                id="a" * 32,
                kind=kind,
                use_case=use_case,
                backend="stages",
                state=state,
                options={},
                steps=[],
                idempotency_key="k",
                requested_by="ada",
                centre="",
                created=datetime(2026, 3, 15, 12, tzinfo=UTC),
            )
        )


def test_where_nothing_stands_against_it_there_is_no_blocker(engine: Engine) -> None:
    assert retraining_blocker(engine, "toy") is None


def test_a_freeze_blocks_and_is_named(engine: Engine) -> None:
    with engine.begin() as connection:
        promotion_freeze.freeze_promotions(connection, reason="storm", by="jeanne")
    blocker = retraining_blocker(engine, "toy")
    assert blocker is not None
    assert "jeanne" in render(blocker, "en")


@pytest.mark.parametrize("state", ["queued", "running", "awaiting_approval"])
def test_a_retraining_that_has_not_ended_blocks_another_of_the_same_use_case(engine: Engine, state: str) -> None:
    store(engine, state)
    blocker = retraining_blocker(engine, "toy")
    assert blocker is not None
    assert "toy that began at 2026-03-15 12:00 UTC has not ended" in render(blocker, "en")
    assert retraining_blocker(engine, "other") is None
    assert retraining_blocker(engine, "toy", own_run="a" * 32) is None, "the same request again is no other one"


@pytest.mark.parametrize("state", ["succeeded", "failed", "rejected"])
def test_a_retraining_that_has_ended_does_not(engine: Engine, state: str) -> None:
    store(engine, state)
    assert retraining_blocker(engine, "toy") is None


def test_a_run_of_another_kind_does_not(engine: Engine) -> None:
    store(engine, "running", kind="ingest")
    assert retraining_blocker(engine, "toy") is None
