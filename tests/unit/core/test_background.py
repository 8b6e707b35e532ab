"""Threads that repeat something: one turn at a time, whatever goes wrong in one, and an end in bounded time."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from services.core import background
from services.core.background import PeriodicThread

SOON = 10.0
"""Far more than anything here takes, and less than anybody waits for a test."""


class Turns:
    """Counts turns, and waits for them."""

    def __init__(self, work: Callable[[int], object] = lambda _: None) -> None:
        self.number = 0
        self._work = work
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.number += 1
            self._changed.notify_all()
        self._work(self.number)

    def reach(self, number: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.number >= number, SOON)


@pytest.fixture
def run() -> Iterator[Callable[..., PeriodicThread]]:
    """Makes and starts threads, and ends them after the test."""
    threads: list[PeriodicThread] = []

    def make(turn: Callable[[], object], seconds: background.Seconds = 0.0, **options: object) -> PeriodicThread:
        thread = PeriodicThread("test", turn, seconds, **options)  # type: ignore[arg-type]
        threads.append(thread)
        thread.start()
        return thread

    yield make
    for thread in threads:
        thread.stop()
        assert thread.join(SOON)


def test_turns_follow_each_other_until_it_is_stopped(run: Callable[..., PeriodicThread]) -> None:
    turns = Turns()
    thread = run(turns)
    assert turns.reach(3)
    thread.stop()
    assert thread.join(SOON)
    assert not thread.alive
    before = turns.number
    thread.wake()
    time.sleep(0.01)
    assert turns.number == before


def test_it_stops_at_once_however_long_its_pause_is(run: Callable[..., PeriodicThread]) -> None:
    for options in ({}, {"at_least": 3_600.0}, {"at_once": False}):
        thread = run(Turns(), 3_600.0, **options)
        thread.stop()
        assert thread.join(SOON)


def test_a_turn_that_hangs_is_not_waited_for_longer_than_asked(run: Callable[..., PeriodicThread]) -> None:
    go_on = threading.Event()
    thread = run(lambda: go_on.wait(SOON))
    thread.stop()
    assert not thread.join(0.01)
    assert thread.alive
    go_on.set()
    assert thread.join(SOON)


def test_an_error_in_one_turn_is_logged_and_does_not_end_it(
    run: Callable[..., PeriodicThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AFTER_ERROR_SECONDS", 0.0)

    def work(number: int) -> None:
        if number <= 3:
            raise ValueError("bad weather")

    turns = Turns(work)
    with capture_logs() as logs:
        run(turns)
        assert turns.reach(6)
    # Once while it lasts, not at each turn.
    assert [(line["event"], line["thread"], line["log_level"]) for line in logs] == [
        ("background thread failed, and goes on", "test", "error"),
        ("background thread works again", "test", "info"),
    ]
    assert logs[0]["exc_info"]


def test_another_error_and_one_that_lasts_are_logged_again(
    run: Callable[..., PeriodicThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AFTER_ERROR_SECONDS", 0.0)
    kinds = [ValueError, ValueError, KeyError]

    def work(number: int) -> None:
        if number <= len(kinds):
            raise kinds[number - 1]

    turns = Turns(work)
    with capture_logs() as logs:
        run(turns)
        assert turns.reach(5)
    assert len([line for line in logs if "failed" in line["event"]]) == 2
    monkeypatch.setattr(background, "REPEAT_LOG_SECONDS", 0.0)
    turns = Turns(work)
    with capture_logs() as logs:
        run(turns)
        assert turns.reach(5)
    assert len([line for line in logs if "failed" in line["event"]]) == 3


def test_after_an_error_it_pauses_even_if_it_is_woken(run: Callable[..., PeriodicThread]) -> None:
    def work(_: int) -> None:
        raise ValueError

    turns = Turns(work)
    thread = run(turns)
    assert turns.reach(1)
    for _ in range(10):
        thread.wake()
    assert turns.number == 1


def test_waking_brings_the_next_turn_now(run: Callable[..., PeriodicThread]) -> None:
    turns = Turns()
    thread = run(turns, 3_600.0)
    assert turns.reach(1)
    thread.wake()
    assert turns.reach(2)
    assert turns.number == 2


def test_waking_during_a_turn_is_not_lost(run: Callable[..., PeriodicThread]) -> None:
    thread: PeriodicThread
    turns = Turns(lambda number: thread.wake() if number == 1 else None)
    thread = PeriodicThread("test", turns, 3_600.0)
    thread.start()
    assert turns.reach(2)
    thread.stop()
    assert thread.join(SOON)


def test_waking_does_not_shorten_the_least_pause(run: Callable[..., PeriodicThread]) -> None:
    turns = Turns()
    thread = run(turns, 3_600.0, at_least=lambda: 3_600.0 if turns.number else 0.0)
    assert turns.reach(1)
    thread.wake()
    time.sleep(0.02)
    assert turns.number == 1
    assert thread.woken


def test_the_first_turn_comes_at_once_or_after_a_pause(run: Callable[..., PeriodicThread]) -> None:
    now, later = Turns(), Turns()
    run(now, 3_600.0)
    thread = run(later, 3_600.0, at_once=False)
    assert now.reach(1)
    assert later.number == 0
    thread.wake()
    assert later.reach(1)


def test_two_turns_never_overlap_even_where_it_is_started_twice(run: Callable[..., PeriodicThread]) -> None:
    inside, most = 0, 0

    def work(_: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.001)
        inside -= 1

    turns = Turns(work)
    thread = run(turns)
    thread.start()
    assert turns.reach(10)
    assert most == 1
    assert [item.name for item in threading.enumerate()].count("test") == 1


def test_what_is_left_to_do_is_done_in_the_thread_when_it_ends(run: Callable[..., PeriodicThread]) -> None:
    done: list[str] = []
    thread = run(Turns(), 3_600.0, at_once=False, last=lambda: done.append(threading.current_thread().name))
    thread.stop()
    assert thread.join(SOON)
    assert done == ["test"]


def test_the_thread_has_the_context_of_who_starts_it(run: Callable[..., PeriodicThread]) -> None:
    service = contextvars.ContextVar("service", default="nobody")
    service.set("prediction")
    seen: list[str] = []
    turns = Turns(lambda _: seen.append(service.get()))
    run(turns)
    assert turns.reach(2)
    assert seen[0] == "prediction"


def test_one_that_was_never_started_ends_at_once() -> None:
    thread = PeriodicThread("test", lambda: None, 1.0)
    thread.stop()
    assert thread.join(0.0)
    assert not thread.alive
