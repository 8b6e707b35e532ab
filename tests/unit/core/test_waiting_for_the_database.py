"""Migrations wait for a database that is being started, but not for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from services.core.database import migrate
from services.core.errors import VigieError


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.001)


def engine_that(answers: Callable[[int], bool]) -> tuple[Engine, list[int]]:
    """An engine whose n-th connection fails where ``answers(n)`` is false; and the numbers of the attempts."""
    engine, attempts = create_engine("sqlite://"), list[int]()

    @event.listens_for(engine, "do_connect")
    def connect(*_: Any) -> None:
        attempts.append(len(attempts) + 1)
        if not answers(attempts[-1]):
            raise OperationalError("", {}, Exception("the database system is starting up\nmore"))

    return engine, attempts


def test_it_waits_until_the_database_takes_connections() -> None:
    engine, attempts = engine_that(lambda number: number >= 4)
    migrate.wait_for_database(engine, seconds=30)
    assert attempts == [1, 2, 3, 4]
    engine.dispose()


def test_it_gives_up_after_its_time_and_says_why() -> None:
    engine, attempts = engine_that(lambda _: False)
    with pytest.raises(VigieError, match="does not answer: the database system is starting up\n") as raised:
        migrate.wait_for_database(engine, seconds=0.02)
    assert "VIGIE_DATABASE_URL" in str(raised.value.action)
    assert len(attempts) > 1


def test_a_fault_that_no_waiting_mends_is_not_waited_for() -> None:
    def answers(_: int) -> bool:
        raise ValueError("no such driver")

    engine, attempts = engine_that(answers)
    with pytest.raises(ValueError, match="no such driver"):
        migrate.wait_for_database(engine, seconds=30)
    assert attempts == [1]
