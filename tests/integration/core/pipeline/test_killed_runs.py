"""Runs are killed at many moments, in every one of their processes; readers see a whole state always."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from services.core.paths import VigiePaths
from tests.processes import at_work

_RUN = """
import sys
from pathlib import Path
from services.core.paths import VigiePaths
from services.core.pipeline.run import run_stages
home, root, word = sys.argv[1:]
def land(workspace):
    path = workspace / "data" / "toy" / "landing" / "word.txt"
    path.unlink(missing_ok=True)
    path.write_text(word)
run_stages(VigiePaths(Path(home)), "toy", "train", prepare=land, root=Path(root))
"""
KINDS = ("run", "dvc", "stage")
SEED = 20_241_121


def start(home: VigiePaths, root: Path, word: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, str(home.root), str(root), word],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def victim(run: subprocess.Popen[bytes], kind: str) -> psutil.Process | None:
    """The run itself, its DVC process, or the stage that is at work; None while there is none yet."""
    try:
        below = {child: child.cmdline() for child in psutil.Process(run.pid).children(recursive=True)}
    except psutil.NoSuchProcess:
        return None
    wanted = {
        "run": lambda _: False,
        "dvc": lambda words: "dvc" in words,
        "stage": lambda words: "services/stage.py" in words and "-S" in words,
    }[kind]
    return psutil.Process(run.pid) if kind == "run" else next((c for c, w in below.items() if wanted(w)), None)


def kill_at_a_random_moment(run: subprocess.Popen[bytes], kind: str, moments: random.Random) -> None:
    """Wait for the process to be there, then a little, then kill it. A run that was faster has ended."""
    while run.poll() is None and (chosen := victim(run, kind)) is None:
        time.sleep(0.05)
    if run.poll() is not None:
        return
    time.sleep(moments.uniform(0.0, {"run": 3.0, "dvc": 2.5, "stage": 0.2}[kind]))
    if chosen is not None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it was faster
            chosen.send_signal(signal.SIGKILL)
    run.wait(timeout=240)


@contextmanager
def reading(home: VigiePaths, word_of: Callable[[Path], str]) -> Iterator[list[str]]:
    """Read the published state over and over; the words seen, or what was wrong with a state."""
    seen: list[str] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                seen.append(word_of(home.current("toy").resolve(strict=True)))
            except (AssertionError, OSError) as error:
                seen.append(f"torn: {error}")
            time.sleep(0.02)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        over.set()
        reader.join()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_readers_see_the_old_state_or_the_new_one_however_a_run_dies(
    home: VigiePaths, root: Path, said_one: Path, word_of: Callable[[Path], str], kind: str
) -> None:
    moments = random.Random(f"{SEED} {kind}")
    with reading(home, word_of) as seen:
        for number in range(2):
            before = word_of(home.current("toy").resolve())
            kill_at_a_random_moment(start(home, root, f"word {number}"), kind, moments)
            assert word_of(home.current("toy").resolve()) in {before, f"word {number}"}
        assert start(home, root, "last").wait(timeout=240) == 0
    assert word_of(home.current("toy").resolve()) == "last"
    assert len(seen) > 20
    assert set(seen) <= {"one", "word 0", "word 1", "last"}
    assert list(home.scratch.iterdir()) == []


@pytest.mark.slow
def test_a_killed_run_does_not_leave_its_stages_at_work_beside_the_next_run(
    home: VigiePaths, root: Path, said_one: Path
) -> None:
    first = start(home, root, "two")
    while (dvc := victim(first, "dvc")) is None:
        time.sleep(0.05)
    first.kill()
    first.wait()
    assert at_work(dvc)
    assert start(home, root, "three").wait(timeout=240) == 0
    assert not at_work(dvc)
    assert (home.data("toy") / "raw" / "000.txt").read_text() == "three"


def test_the_reader_of_these_tests_finds_a_state_that_is_changed_in_place(
    home: VigiePaths, said_one: Path, word_of: Callable[[Path], str]
) -> None:
    with reading(home, word_of) as seen:
        for path in sorted((said_one / "data" / "toy" / "raw").iterdir()):
            part = path.with_name(".part")
            part.write_text("two")
            part.replace(path)
            time.sleep(0.02)
    assert any(word.startswith("torn") for word in seen)
