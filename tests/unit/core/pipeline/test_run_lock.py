"""Runs of one use case take turns, and nobody waits for the remains of a killed one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.pipeline.run_lock import run_lock

_HOLD = """
import subprocess, sys
from pathlib import Path
from services.core.paths import VigiePaths
from services.core.pipeline.run_lock import run_lock
with run_lock(VigiePaths(Path(sys.argv[1])), "toy", "run 1") as mine:
    child = subprocess.Popen(["sleep", "60"], pass_fds=(mine.descriptor,), start_new_session=True)
    mine.runs(child.pid)
    print(child.pid, flush=True)
    child.wait()
"""


@pytest.fixture
def home(tmp_path: Path) -> VigiePaths:
    return VigiePaths(tmp_path)


@contextmanager
def holding(home: VigiePaths) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the turn and has a child that inherited the lock."""
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(home.root)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        child = int(other.stdout.readline())
        try:
            yield other, child
        finally:
            other.kill()
            if alive(child):
                os.kill(child, signal.SIGKILL)


def alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_second_waits_until_the_first_has_ended(home: VigiePaths) -> None:
    order: list[str] = []

    def second() -> None:
        with run_lock(home, "toy", "second"):
            order.append("second")

    with run_lock(home, "toy", "first"):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_different_use_cases_run_side_by_side(home: VigiePaths) -> None:
    with run_lock(home, "one", "run"), run_lock(home, "other", "run", wait_seconds=0):
        pass


def test_who_does_not_want_to_wait_is_told_who_holds_the_turn(home: VigiePaths) -> None:
    with (
        run_lock(home, "toy", "run 7"),
        pytest.raises(VigieError, match="Another run of toy is at work: run 7 in process"),
    ):
        run_lock(home, "toy", "run 8", wait_seconds=0).__enter__()


def test_who_waits_hears_for_whom_once(home: VigiePaths) -> None:
    heard: list[str] = []
    with run_lock(home, "toy", "run 7"), pytest.raises(VigieError):
        run_lock(home, "toy", "run 8", wait_seconds=0.5, progress=heard.append).__enter__()
    assert len(heard) == 1
    assert heard[0].startswith("waiting for another run of toy: run 7 in process")


def test_after_an_error_the_turn_is_free(home: VigiePaths) -> None:
    with pytest.raises(RuntimeError), run_lock(home, "toy", "run 1"):
        raise RuntimeError
    with run_lock(home, "toy", "run 2", wait_seconds=0):
        pass


def test_what_a_killed_run_left_at_work_is_ended_by_the_next_one(home: VigiePaths) -> None:
    with holding(home) as (other, child):
        other.kill()
        other.wait()
        assert alive(child)
        with run_lock(home, "toy", "run 2", wait_seconds=10):
            assert not alive(child)


def test_a_run_that_is_alive_is_left_alone(home: VigiePaths) -> None:
    with holding(home) as (_, child):
        with pytest.raises(VigieError):
            run_lock(home, "toy", "run 2", wait_seconds=0.3).__enter__()
        assert alive(child)


def test_a_process_of_another_machine_or_container_is_never_touched(home: VigiePaths) -> None:
    with holding(home) as (other, child):
        note = home.lock("toy").with_suffix(".json")
        note.write_text(json.dumps({**json.loads(note.read_text()), "place": "elsewhere"}))
        other.kill()
        other.wait()
        with pytest.raises(VigieError):
            run_lock(home, "toy", "run 2", wait_seconds=0.3).__enter__()
        assert alive(child)
