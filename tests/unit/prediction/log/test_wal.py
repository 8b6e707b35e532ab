"""Answers are on disk before they leave, and a journal never stops one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services.prediction.log.wal import WriteAheadLog, claim_orphan_folders

Make = Callable[..., WriteAheadLog]


def lines_of(journal: WriteAheadLog) -> list[bytes]:
    return [line for path in journal.seal() for line in path.read_bytes().splitlines()]


def test_a_record_is_in_the_file_when_write_returns(make_journal: Make, tmp_path: Path) -> None:
    journal = make_journal()
    assert journal.write(b"one\n")
    [path] = (tmp_path / "journal").glob("*/*.jsonl")
    assert path.read_bytes() == b"one\n"


def test_a_record_costs_one_write_and_opens_nothing(make_journal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make_journal()
    calls: list[bytes] = []

    def write(descriptor: int, data: bytes) -> int:
        calls.append(data)
        return len(data)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened a file"))
    journal.write(b"one\n")
    assert calls == [b"one\n"]


def test_a_segment_that_has_grown_is_followed_by_another(make_journal: Make) -> None:
    journal = make_journal(segment=10)
    for number in range(4):
        journal.write(f"line {number}\n".encode())
    assert [path.read_bytes() for path in journal.seal()] == [b"line 0\nline 1\n", b"line 2\nline 3\n"]


def test_sealing_ends_the_open_segment_and_writing_goes_on_in_the_next(make_journal: Make) -> None:
    journal = make_journal()
    journal.write(b"one\n")
    [first] = journal.seal()
    journal.write(b"two\n")
    assert first.read_bytes() == b"one\n"
    assert lines_of(journal) == [b"one", b"two"]


def test_sealing_an_empty_segment_makes_no_file(make_journal: Make) -> None:
    journal = make_journal()
    assert journal.seal() == journal.seal() == []
    assert journal.segments() == 1


def test_beyond_the_limit_records_are_dropped_and_counted_until_there_is_room(make_journal: Make) -> None:
    journal = make_journal(limit=20)
    assert [journal.write(b"123456789\n") for _ in range(3)] == [True, True, False]
    assert (journal.written, journal.dropped) == (2, 1)
    [segment] = journal.seal()
    assert not journal.write(b"123456789\n")
    journal.delivered(segment)
    assert journal.write(b"123456789\n")
    assert journal.waiting_bytes == 10


def test_what_dead_processes_left_counts_against_the_limit(make_journal: Make) -> None:
    journal = make_journal(limit=20)
    journal.orphan_bytes = 15
    assert not journal.write(b"123456789\n")


def test_a_full_disk_drops_the_record_and_leaves_no_half_line(
    make_journal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make_journal()
    journal.write(b"one\n")
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    assert not journal.write(b"two\n")
    monkeypatch.undo()
    assert not journal.write(b"three\n"), "writes go on only after the journal was opened again"
    assert journal.open()
    assert journal.write(b"four\n")
    assert lines_of(journal) == [b"one", b"four"]
    assert (journal.written, journal.dropped) == (2, 2)


def test_an_error_of_the_disk_is_no_error_of_the_call(make_journal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make_journal()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert not journal.write(b"one\n")
    assert "No space left" in journal.last_error


def test_a_journal_that_cannot_be_opened_says_so_and_drops(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    journal = WriteAheadLog(tmp_path / "journal", limit_bytes=100, segment_bytes=100)
    assert not journal.open()
    assert not journal.write(b"one\n")
    assert (journal.dropped, journal.last_error != "") == (1, True)


def test_the_folder_of_a_living_process_is_nobody_elses(make_journal: Make) -> None:
    first, second = make_journal(), make_journal()
    first.write(b"one\n")
    assert list(claim_orphan_folders(second.root)) == []


def test_the_folder_of_a_dead_process_is_adopted_once(make_journal: Make) -> None:
    first, second = make_journal(), make_journal()
    first.write(b"one\n")
    first.close()
    [held] = claim_orphan_folders(second.root)
    assert list(claim_orphan_folders(second.root)) == []
    assert [path.read_bytes() for path in held.segments()] == [b"one\n"]
    held.release(remove=True)
    assert not held.path.exists()


def test_a_process_that_ends_with_nothing_left_leaves_no_folder(make_journal: Make, tmp_path: Path) -> None:
    make_journal().close()
    assert list((tmp_path / "journal").iterdir()) == []
