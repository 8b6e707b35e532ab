"""Publishing is killed before each single change that it makes to the disk; readers never see a half."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.core.paths import VigiePaths
from services.core.pipeline.workspace import publish_state

FILES = 4
CHANGES = {"os.rename", "os.mkdir", "os.symlink", "os.remove", "os.rmdir", "open", "shutil.copyfile"}
Publisher = Callable[[VigiePaths, str, Path, str], Any]


def workspace(folder: Path, word: str) -> Path:
    for place in ("data/toy/raw", "models/toy/bundle"):
        (folder / place).mkdir(parents=True)
        for number in range(FILES):
            (folder / place / f"{number}.txt").write_text(word)
    (folder / "dvc.lock").write_text(word)
    return folder


def seen(home: VigiePaths) -> set[str]:
    """What a reader sees that resolves the pointer once: one word, or the state is torn."""
    state = home.current("toy").resolve(strict=True)
    files = [path for path in state.rglob("*") if path.is_file()]
    return {"torn"} if len(files) != 2 * FILES + 1 else {path.read_text() for path in files}


def killed_before(number: int, publisher: Publisher, home: VigiePaths, source: Path, run: str) -> bool:
    """Publish in a child process that is killed before its ``number``-th change; False if it got through."""
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            written = event != "open" or (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"))
            if event in CHANGES and written:
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        publisher(home, "toy", source, run)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def what_readers_see(publisher: Publisher, folder: Path) -> list[set[str]]:
    """After a kill at each moment in turn: what is published then."""
    found = []
    for number in range(1, 500):
        home = VigiePaths(folder / str(number))
        publish_state(home, "toy", workspace(folder / f"{number}-old", "old"), "20240101T000000")
        source = workspace(home.scratch / "run", "new")
        killed = killed_before(number, publisher, home, source, "20240102T000000")
        found.append(seen(home))
        if not killed:
            return found
    raise AssertionError("publishing never came to its end")


def copied_in_place(home: VigiePaths, use_case: str, source: Path, run: str) -> None:
    """How it must not be done."""
    shutil.copytree(source, home.current(use_case).resolve(), dirs_exist_ok=True)


def test_a_kill_at_any_moment_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    found = what_readers_see(publish_state, tmp_path)
    assert len(found) > 6
    assert {"old"} in found
    assert found[-1] == {"new"}
    assert all(words in ({"old"}, {"new"}) for words in found)


def test_this_check_finds_the_torn_states_of_copying_in_place(tmp_path: Path) -> None:
    found = what_readers_see(copied_in_place, tmp_path)
    assert any(words not in ({"old"}, {"new"}) for words in found)


def test_the_next_run_clears_what_a_killed_one_left_of_a_state(tmp_path: Path) -> None:
    home = VigiePaths(tmp_path / "home")
    publish_state(home, "toy", workspace(tmp_path / "a", "old"), "20240101T000000")
    assert killed_before(4, publish_state, home, workspace(tmp_path / "b", "lost"), "20240102T000000")
    assert len(list(home.states("toy").iterdir())) == 2
    publish_state(home, "toy", workspace(tmp_path / "c", "new"), "20240103T000000")
    assert seen(home) == {"new"}
    assert sorted(path.name for path in home.states("toy").iterdir()) == ["20240101T000000", "20240103T000000"]


def test_a_home_that_is_moved_still_finds_its_state(tmp_path: Path) -> None:
    publish_state(VigiePaths(tmp_path / "here"), "toy", workspace(tmp_path / "a", "old"), "1")
    (tmp_path / "here").rename(tmp_path / "there")
    assert seen(VigiePaths(tmp_path / "there")) == {"old"}


@pytest.mark.parametrize("clock", ["20230101T000000", "20250101T000000"])
def test_the_state_just_published_stays_even_when_the_clock_went_back(tmp_path: Path, clock: str) -> None:
    home = VigiePaths(tmp_path / "home")
    publish_state(home, "toy", workspace(tmp_path / "a", "old"), "20240101T000000")
    publish_state(home, "toy", workspace(tmp_path / "b", "new"), clock)
    assert seen(home) == {"new"}
