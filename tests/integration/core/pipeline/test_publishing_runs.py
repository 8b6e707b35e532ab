"""A run publishes what it made, or nothing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.pipeline.run import run_stages

FILES = 30


def words(folder: Path) -> set[str]:
    files = list(folder.iterdir())
    assert len(files) == FILES
    return {file.read_text() for file in files}


def test_a_run_publishes_its_outputs_its_landing_folder_and_its_lock(
    home: VigiePaths, say: Callable[..., Path]
) -> None:
    state = say("one")
    assert state == home.current("toy").resolve()
    assert words(home.data("toy") / "raw") == words(home.models("toy") / "bundle") == {"one"}
    assert (home.data("toy") / "landing" / "word.txt").read_text() == "one"
    assert (state / "dvc.lock").read_text().count("@toy:") == 3
    assert list(home.scratch.iterdir()) == []


def test_nothing_new_publishes_nothing_and_runs_nothing(said_one: Path, say: Callable[..., Path]) -> None:
    heard: list[str] = []
    assert say("one", progress=heard.append) == said_one
    assert heard == ["ingest: unchanged", "preprocess: unchanged", "train: unchanged"]


def test_new_input_runs_what_depends_on_it_and_keeps_the_state_before(
    home: VigiePaths, said_one: Path, say: Callable[..., Path]
) -> None:
    heard: list[str] = []
    second = say("two", progress=heard.append)
    assert heard == ["ingest: running", "preprocess: running", "train: running"]
    assert words(second / "models" / "toy" / "bundle") == {"two"}
    assert words(said_one / "models" / "toy" / "bundle") == {"one"}
    third = say("three", last="ingest")
    assert {path.name for path in home.states("toy").iterdir()} == {second.name, third.name}


@pytest.mark.slow
def test_a_run_of_the_first_stages_keeps_later_results_and_writing_to_what_it_published_spoils_nothing(
    home: VigiePaths, said_one: Path, say: Callable[..., Path]
) -> None:
    second = say("two", last="ingest")
    assert words(home.data("toy") / "raw") == {"two"}
    assert words(home.models("toy") / "bundle") == {"one"}

    third = say(None)
    assert words(home.models("toy") / "bundle") == {"two"}

    for file in (second / "data" / "toy" / "raw").iterdir():
        assert file.stat().st_nlink == 1
        file.write_text("spoilt")
    assert words(third / "data" / "toy" / "raw") == {"two"}
    assert {file.read_bytes() for file in home.dvc_cache.rglob("*") if file.stat().st_size == 3} == {b"one", b"two"}


def test_a_failed_stage_leaves_the_published_state_its_words_and_its_workspace(
    home: VigiePaths, said_one: Path, say: Callable[..., Path]
) -> None:
    with pytest.raises(VigieError) as caught:
        say("bad")
    assert "the word is bad" in caught.value.problem
    assert home.current("toy").resolve() == said_one
    assert words(home.data("toy") / "raw") == {"one"}
    assert (home.data("toy") / "landing" / "word.txt").read_text() == "one"
    (kept,) = home.scratch.iterdir()
    assert (kept / "data" / "toy" / "landing" / "word.txt").read_text() == "bad"
    say("one")
    assert list(home.scratch.iterdir()) == []


def test_an_error_while_preparing_changes_nothing(home: VigiePaths, said_one: Path, root: Path) -> None:
    def refuse(workspace: Path) -> None:
        shutil.rmtree(workspace / "data")
        raise VigieError("no such source")

    with pytest.raises(VigieError, match="no such source"):
        run_stages(home, "toy", "train", prepare=refuse, root=root)
    assert words(said_one / "data" / "toy" / "raw") == {"one"}


def test_the_code_of_a_run_is_frozen_when_it_starts(home: VigiePaths, root: Path) -> None:
    def prepare(workspace: Path) -> None:
        (workspace / "data" / "toy" / "landing" / "word.txt").write_text("one")
        (root / "services" / "stage.py").write_text("raise SystemExit('code of another day')")

    state = run_stages(home, "toy", "ingest", prepare=prepare, root=root)
    assert words(state / "data" / "toy" / "raw") == {"one"}


@pytest.mark.slow
def test_two_runs_of_one_use_case_take_turns(home: VigiePaths, say: Callable[..., Path]) -> None:
    heard: list[str] = []
    runs = [threading.Thread(target=say, args=(word, "preprocess", heard.append)) for word in ("one", "two")]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert any(line.startswith("waiting for another run of toy: run 2") for line in heard)
    assert words(home.data("toy") / "raw") == words(home.data("toy") / "examples")


def test_there_is_no_other_stage(home: VigiePaths, root: Path) -> None:
    with pytest.raises(VigieError, match="There is no stage 'promote'"):
        run_stages(home, "toy", "promote", root=root)
