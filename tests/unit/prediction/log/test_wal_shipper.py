"""What is in the journal reaches the database, each record once."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from services.core.prediction_log.store import DatabaseUnavailableError, RejectedRecord
from services.prediction.log import wal_shipper as delivery_module
from services.prediction.log.wal import WriteAheadLog
from services.prediction.log.wal_shipper import WalShipper
from tests.unit.core.prediction_log.conftest import Shelf, call_line

MISTYPED = call_line("r1").replace(b'"us":1200', b'"us":"soon"')
Make = Callable[..., WriteAheadLog]


def deliver(journal: WriteAheadLog, shelf: Shelf) -> WalShipper:
    delivery = WalShipper(journal, shelf, seconds=0.01)
    delivery.once()
    return delivery


def test_records_are_delivered_in_order_and_their_segments_removed(make_journal: Make, shelf: Shelf) -> None:
    journal = make_journal(segment=1_500)
    for number in range(5):
        journal.write(call_line(f"r{number}"))
    delivery = deliver(journal, shelf)
    assert shelf.request_ids == ["r0", "r1", "r2", "r3", "r4"]
    assert (journal.segments(), journal.waiting_bytes, delivery.delivered) == (1, 0, 5)


def test_a_segment_stays_until_its_last_batch_is_stored(
    make_journal: Make, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "BATCH_ROWS", 2)
    journal = make_journal()
    for number in range(4):
        journal.write(call_line(f"r{number}"))
    batches = 0

    def breaks(records: list[object]) -> list[RejectedRecord]:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise DatabaseUnavailableError("gone in the middle")
        return shelf(records)  # type: ignore[arg-type]

    delivery = WalShipper(journal, breaks, seconds=0.01)  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnavailableError):
        delivery.once()
    assert shelf.request_ids == ["r0", "r1"]
    delivery.once()
    # Delivered again: the tables keep one of each, because the id says that it is the same.
    assert shelf.request_ids == ["r0", "r1", "r0", "r1", "r2", "r3"]
    assert len({record.row["id"] for record in shelf.records}) == 4


def test_while_the_database_is_away_segments_wait(make_journal: Make, shelf: Shelf) -> None:
    journal = make_journal()
    shelf.away = True
    delivery = WalShipper(journal, shelf, seconds=0.01)
    for number in range(3):
        journal.write(call_line(f"r{number}"))
        with pytest.raises(DatabaseUnavailableError):
            delivery.once()
    assert journal.segments() == 4
    assert journal.oldest_seconds() < 5
    shelf.away = False
    delivery.once()
    assert shelf.request_ids == ["r0", "r1", "r2"]


def test_a_line_that_was_cut_off_is_left_out_and_the_rest_delivered(make_journal: Make, shelf: Shelf) -> None:
    journal = make_journal()
    journal.write(call_line("whole"))
    journal.write(call_line("torn")[:-40])
    delivery = deliver(journal, shelf)
    assert (shelf.request_ids, delivery.torn, delivery.dead_letters.count) == (["whole"], 1, 0)


@pytest.mark.parametrize(
    "bad", [b"{}\n", b"\0\0\0\0\n", b"[1]\n", b'{"v": 9, "k": "prediction"}\n', b"not json\n", MISTYPED]
)
def test_a_line_that_is_no_record_goes_to_the_dead_letters_with_its_reason(
    make_journal: Make, shelf: Shelf, bad: bytes
) -> None:
    journal = make_journal()
    journal.write(call_line("before"))
    journal.write(bad)
    journal.write(call_line("after"))
    delivery = deliver(journal, shelf)
    assert shelf.request_ids == ["before", "after"]
    [path] = delivery.dead_letters.folder.iterdir()
    [letter] = [json.loads(line) for line in path.read_text().splitlines()]
    assert letter["record"] == bad.decode().rstrip("\n")
    assert letter["reason"]


def test_a_record_that_the_database_refuses_blocks_nothing(make_journal: Make, shelf: Shelf) -> None:
    journal = make_journal()
    shelf.refuses = "poison"
    for name in ("before", "poison", "after"):
        journal.write(call_line(name))
    delivery = deliver(journal, shelf)
    assert shelf.request_ids == ["before", "after"]
    [path] = delivery.dead_letters.folder.iterdir()
    assert json.loads(path.read_text())["reason"] == "too strange"
    assert journal.waiting_bytes == 0


def test_what_a_dead_process_left_is_delivered_and_its_folder_removed(
    make_journal: Make, shelf: Shelf, tmp_path: Path
) -> None:
    dead, living = make_journal(), make_journal()
    dead.write(call_line("of the dead"))
    living.write(call_line("of the living"))
    dead.close()
    deliver(living, shelf)
    assert sorted(shelf.request_ids) == ["of the dead", "of the living"]
    assert len([path for path in (tmp_path / "journal").iterdir() if path.is_dir()]) == 1


def test_what_was_adopted_waits_too_while_the_database_is_away(make_journal: Make, shelf: Shelf) -> None:
    dead, living = make_journal(), make_journal()
    dead.write(call_line("of the dead"))
    dead.close()
    shelf.away = True
    delivery = WalShipper(living, shelf, seconds=0.01)
    with pytest.raises(DatabaseUnavailableError):
        delivery.once()
    assert living.waiting_bytes == living.orphan_bytes > 0
    shelf.away = False
    delivery.once()
    assert shelf.request_ids == ["of the dead"]
    assert living.waiting_bytes == 0


def test_the_thread_delivers_by_itself_and_goes_on_after_an_outage_and_a_bug(
    make_journal: Make, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "MAX_BACKOFF_SECONDS", 0.02)
    journal = make_journal()
    troubles = [RuntimeError("a bug"), DatabaseUnavailableError("away")]

    def store(records: list[object]) -> list[RejectedRecord]:
        if troubles:
            raise troubles.pop()
        return shelf(records)  # type: ignore[arg-type]

    delivery = WalShipper(journal, store, seconds=0.005)  # type: ignore[arg-type]
    delivery.start()
    journal.write(call_line("r1"))
    until = time.monotonic() + 5
    while not shelf.records and time.monotonic() < until:
        time.sleep(0.005)
    delivery.stop(5.0)
    assert (shelf.request_ids, delivery.failures) == (["r1"], 2)


def test_stopping_delivers_what_is_there(make_journal: Make, shelf: Shelf) -> None:
    journal = make_journal()
    delivery = WalShipper(journal, shelf, seconds=60.0)
    delivery.start()
    journal.write(call_line("last words"))
    delivery.stop(5.0)
    assert shelf.request_ids == ["last words"]


def test_dead_letters_are_not_kept_for_ever(make_journal: Make, shelf: Shelf) -> None:
    journal = make_journal()
    journal.write(b"nonsense\n")
    delivery = deliver(journal, shelf)
    [path] = delivery.dead_letters.folder.iterdir()
    delivery.dead_letters.prune(1)
    assert path.exists()
    old = time.time() - 3 * 86_400
    import os

    os.utime(path, (old, old))
    delivery.dead_letters.prune(0)
    assert path.exists()
    delivery.dead_letters.prune(2)
    assert not path.exists()


def test_damage_on_disk_holds_up_no_record(make_journal: Make, shelf: Shelf, tmp_path: Path) -> None:
    """A line that nests too deeply for Python, a folder called like a segment, a link to another file, and folders that
    are no journal."""
    journal = make_journal()
    journal.write(call_line("r1"))
    journal.write(b"[" * 100_000 + b"]" * 100_000 + b"\n")
    journal.write(call_line("r2"))
    (dead := journal.root / "dead").mkdir()
    (dead / "lock").touch()
    (dead / "0.jsonl").mkdir()
    outside = tmp_path / "outside.jsonl"
    outside.write_bytes(call_line("stolen"))
    (dead / "1.jsonl").symlink_to(outside)
    (dead / "2.jsonl").write_bytes(call_line("r3"))
    (journal.root / "odd" / "lock").mkdir(parents=True)
    (journal.root / "link").symlink_to(tmp_path, target_is_directory=True)
    delivery = deliver(journal, shelf)
    assert shelf.request_ids == ["r1", "r2", "r3"]
    assert delivery.dead_letters.count == 1
    assert outside.exists()
    assert not dead.exists()


def test_a_segment_that_cannot_be_read_stays_and_holds_up_no_other(
    make_journal: Make, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make_journal(segment=100)
    for number in range(3):
        journal.write(call_line(f"r{number}"))
    first = journal.seal()[0]
    read = delivery_module.read_segment

    def broken(path: Path) -> object:
        if path == first:
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(delivery_module, "read_segment", broken)
    deliver(journal, shelf)
    assert shelf.request_ids == ["r1", "r2"]
    assert first.exists()


def test_the_log_says_why_calls_are_not_recorded(
    make_journal: Make, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the journal could be opened again before it is said."""
    journal = make_journal()
    delivery = WalShipper(journal, shelf, seconds=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        journal.write(call_line("r1"))
    assert journal.open()
    with capture_logs() as logs:
        # A logger that an earlier test configured and used would not be captured.
        monkeypatch.setattr(delivery_module, "log", structlog.get_logger())
        delivery._turn()
    assert [(line["event"], line["dropped"]) for line in logs if "reason" in line] == [("calls are not recorded", 1)]
    assert "No space left on device" in logs[0]["reason"]
    assert journal.write(call_line("r2"))
    assert journal.last_error == ""
