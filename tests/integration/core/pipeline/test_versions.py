"""Bringing back, sharing and forgetting the data behind versions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.pipeline.versions import checkout_data, collect_garbage, pull_data, push_data


def lock_of(state: Path) -> str:
    return (state / "dvc.lock").read_text()


def objects(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "files").rglob("*")) if folder.is_dir() else 0


def test_the_data_of_an_older_version_comes_back_into_a_folder_of_its_own(
    home: VigiePaths, said_one: Path, say: Callable[..., Path], tmp_path: Path
) -> None:
    lock = lock_of(said_one)
    say("two")
    checkout_data(home, lock, "toy", tmp_path / "back")
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["examples", "raw"]
    assert {path.read_text() for path in (tmp_path / "back").glob("*/*")} == {"one"}
    assert (home.data("toy") / "raw" / "000.txt").read_text() == "two"


def test_data_that_is_nowhere_any_more_is_said_so_and_leaves_no_folder(
    home: VigiePaths, said_one: Path, tmp_path: Path
) -> None:
    shutil.rmtree(home.dvc_cache)
    with pytest.raises(VigieError, match="Not all of the data of this version of toy is in the cache or the remote"):
        checkout_data(home, lock_of(said_one), "toy", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_folder_that_holds_something_is_refused(home: VigiePaths, said_one: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(VigieError, match="is not empty"):
        checkout_data(home, lock_of(said_one), "toy", tmp_path / "full")


@pytest.mark.parametrize("place", ["current/toy/data/toy", "states/new", "."])
def test_live_data_is_never_written_over(home: VigiePaths, said_one: Path, place: str) -> None:
    with pytest.raises(VigieError, match="is live data"):
        checkout_data(home, lock_of(said_one), "toy", home.root / place)


@pytest.mark.parametrize("text", ["", "stages: 3", "a: [", "schema: '2.0'"])
def test_a_text_that_is_no_lock_is_refused(home: VigiePaths, tmp_path: Path, text: str) -> None:
    with pytest.raises(VigieError, match=r"This is no dvc\.lock"):
        checkout_data(home, text, "toy", tmp_path / "back")


def test_a_lock_of_another_use_case_is_refused(home: VigiePaths, said_one: Path, tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="names no data of fire_response"):
        checkout_data(home, lock_of(said_one), "fire_response", tmp_path / "back")


def test_a_pull_repairs_the_published_state(home: VigiePaths, said_one: Path, word_of: Callable[[Path], str]) -> None:
    (said_one / "data" / "toy" / "raw" / "003.txt").write_text("damaged")
    shutil.rmtree(said_one / "models")
    state = pull_data(home, "toy")
    assert home.current("toy").resolve() == state
    assert word_of(state) == "one"


def test_nothing_published_is_nothing_to_push(home: VigiePaths) -> None:
    with pytest.raises(VigieError, match="Nothing of toy is published yet"):
        push_data(home, "toy")


@pytest.mark.slow
def test_garbage_collection_keeps_the_published_states_and_the_kept_locks_in_cache_and_remote(
    home: VigiePaths, said_one: Path, say: Callable[..., Path], tmp_path: Path
) -> None:
    kept = lock_of(said_one)
    push_data(home, "toy")
    for word in ("two", "three"):  # the state of "one" is gone then
        say(word, last="ingest")
    for store in (home.dvc_cache, home.dvc_remote):  # what a forgotten version would leave
        (store / "files" / "md5" / "ab").mkdir()
        (store / "files" / "md5" / "ab" / ("0" * 30)).write_text("forgotten")
    before = objects(home.dvc_cache), objects(home.dvc_remote)

    planned = collect_garbage(home, [kept], dry_run=True)
    assert (objects(home.dvc_cache), objects(home.dvc_remote)) == before
    done = collect_garbage(home, [kept])

    assert (planned.cache, planned.remote) == (done.cache, done.remote) == (1, 1)
    assert (objects(home.dvc_cache), objects(home.dvc_remote)) == (before[0] - 1, before[1] - 1)
    shutil.rmtree(home.dvc_cache)
    checkout_data(home, kept, "toy", tmp_path / "back")
    assert {path.read_text() for path in (tmp_path / "back").glob("*/*")} == {"one"}


def test_a_lock_that_cannot_be_read_stops_garbage_collection_before_anything_is_lost(
    home: VigiePaths, said_one: Path
) -> None:
    before = objects(home.dvc_cache)
    with pytest.raises(VigieError):
        collect_garbage(home, ["not a lock"])
    assert objects(home.dvc_cache) == before
