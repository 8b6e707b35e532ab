"""Atomic writes: a reader finds the old content or the new one, whatever happens on the way."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import pytest
from pydantic import ValidationError
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from services.core.io import atomic_write, disk_error, replacing, replacing_folder
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT, Settings


def test_a_text_bytes_or_what_a_function_writes_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "state.json"
    atomic_write(path, "été")
    assert path.read_bytes() == "été".encode()
    atomic_write(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    atomic_write(path, lambda stream: stream.write(b"streamed"))
    assert path.read_bytes() == b"streamed"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")

    def fails(stream: BinaryIO) -> None:
        stream.write(b"half of the n")
        stream.flush()
        assert path.read_text() == "old"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "killed",
    [
        pytest.param("atomic_write(path, lambda stream: (stream.write(b'half'), stream.flush(), die()))", id="writing"),
        pytest.param("Path.replace = lambda *_: die(); atomic_write(path, 'new')", id="before the rename"),
    ],
)
def test_a_process_that_is_killed_before_the_rename_leaves_the_old_file(killed: str, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    program = f"""
        import os, signal, sys
        from pathlib import Path
        from services.core.io import atomic_write
        path = Path(sys.argv[1])
        def die():
            os.kill(os.getpid(), signal.SIGKILL)
        {killed}
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    assert subprocess.run(command, cwd=CHECKOUT, check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    # What is left has no name that anybody looks for, and hinders no later write.
    assert [file.suffix for file in tmp_path.iterdir() if file != path] == [".part"]
    atomic_write(path, "new")
    assert path.read_text() == "new"


def test_a_private_file_is_private_from_its_first_moment(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    seen: list[int] = []
    atomic_write(path, lambda stream: seen.append(os.fstat(stream.fileno()).st_mode & 0o777), mode=0o600)
    assert seen == [0o600]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_mode_holds_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        atomic_write(tmp_path / "page.html", "", mode=0o644)
        atomic_write(tmp_path / "plain", "")
    finally:
        os.umask(before)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "plain").stat().st_mode & 0o777 == 0o600


def test_what_must_be_durable_is_on_disk_before_it_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "entry.json"
    synced: list[tuple[bytes, bool]] = []

    def fsync(descriptor: int) -> None:
        synced.append((os.pread(descriptor, 100, 0), path.exists()))

    monkeypatch.setattr("os.fsync", fsync)
    atomic_write(path, "not so important")
    assert synced == []
    path.unlink()
    atomic_write(path, "important", durable=True)
    assert synced == [(b"important", False)]


def test_a_link_is_replaced_in_one_step(tmp_path: Path) -> None:
    link = tmp_path / "current"
    for target in ("one", "two"):
        with replacing(link) as beside:
            beside.symlink_to(target)
            assert not link.is_symlink() or link.readlink() == Path("one")
        assert link.readlink() == Path(target)
    assert list(tmp_path.iterdir()) == [link]


def test_a_folder_takes_the_place_of_the_old_one_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "data" / "examples"
    with replacing_folder(path) as folder:
        (folder / "a").write_text("1")
    with replacing_folder(path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "b").write_text("2")
        assert [file.name for file in path.iterdir()] == ["a"]
    assert [file.name for file in path.iterdir()] == ["b"]


def test_a_folder_that_is_not_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "examples"
    with replacing_folder(path) as folder:
        (folder / "a").write_text("1")

    def half() -> None:
        with replacing_folder(path) as folder:
            (folder / "b").write_text("2")
            raise ValueError("no valid row")

    with pytest.raises(ValueError, match="no valid row"):
        half()
    assert [file.name for file in tmp_path.rglob("*")] == ["examples", "a"]


def test_what_a_killed_process_left_of_a_folder_is_not_in_the_next(tmp_path: Path) -> None:
    path = tmp_path / "examples"
    (tmp_path / ".examples.part").mkdir()
    (tmp_path / ".examples.part" / "stale").touch()
    with replacing_folder(path) as folder:
        (folder / "a").touch()
    assert [file.name for file in path.iterdir()] == ["a"]


def _copy_onto_a_full_disk(folder: Path) -> None:
    source = folder / "from"
    source.mkdir()
    (source / "file").write_text("x")
    (folder / "to").mkdir()
    (folder / "to" / "file").symlink_to("/dev/full")
    shutil.copytree(source, folder / "to", dirs_exist_ok=True, copy_function=shutil.copyfile)


def _write_onto_a_full_disk(_: Path) -> None:
    Path("/dev/full").write_text("x")


def _make_a_folder_where_none_may_be(_: Path) -> None:
    Path("/dev/full/home").mkdir(parents=True)


def _write_to_a_database_that_may_only_be_read(folder: Path) -> None:
    sqlite3.connect(folder / "a.db").close()
    with closing(sqlite3.connect(f"file:{folder}/a.db?mode=ro", uri=True)) as connection:
        connection.execute("CREATE TABLE a (b)")


def _fill_a_database(folder: Path) -> None:
    engine = create_engine(f"sqlite:///{folder}/b.db")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        for number in range(9):
            connection.exec_driver_sql(f"CREATE TABLE t{number} (a)")


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (_write_onto_a_full_disk, "No space left on device"),
        (_copy_onto_a_full_disk, "No space left on device"),
        (_fill_a_database, "No space left on device"),
        (_make_a_folder_where_none_may_be, "Not a directory"),
        (_write_to_a_database_that_may_only_be_read, "Read-only file system"),
    ],
)
def test_a_disk_that_takes_nothing_is_explained(tmp_path: Path, work: Callable[[Path], None], why: str) -> None:
    with pytest.raises((OSError, sqlite3.Error, SQLAlchemyError)) as caught:
        work(tmp_path)
    explained = disk_error(caught.value, tmp_path)
    assert explained is not None
    assert re.fullmatch(rf"/\S+ cannot be written: {why} \([\d,]+ MiB free there\)\.", explained.problem)
    assert "VIGIE_HOME" in explained.action


@pytest.mark.parametrize("error", [KeyError("a"), FileNotFoundError(2, "none", "/a"), sqlite3.IntegrityError("twice")])
def test_other_errors_are_not_the_disks(error: Exception) -> None:
    assert disk_error(error) is None


@pytest.mark.parametrize("name", ["what?", "a{0}", "two\nlines"])
def test_a_home_whose_name_no_address_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="a folder without"):
        Settings(VIGIE_HOME=tmp_path / name)


@pytest.mark.parametrize(
    ("marker", "mode", "becomes"),
    [("states", 0o755, 0o700), ("registry", 0o770, 0o700), ("photos", 0o755, 0o755), ("states", 0o1777, 0o1777)],
)
def test_an_existing_home_is_closed_to_others_and_no_other_folder_is(
    tmp_path: Path, marker: str, mode: int, becomes: int
) -> None:
    (tmp_path / "home" / marker).mkdir(parents=True)
    (tmp_path / "home").chmod(mode)
    VigiePaths(tmp_path / "home").protect()
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == becomes
