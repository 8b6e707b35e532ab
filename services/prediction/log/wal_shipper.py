"""Ships WAL segments to the database in the background and in batches, exactly once.

A segment is removed only after its last batch was committed, and storing a record twice changes nothing. While the
database is unavailable segments wait on disk and attempts back off. Rejected records go to dead-letter files."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog
from pydantic_core import to_json

from services.core.background import PeriodicThread
from services.core.prediction_log.records import Record
from services.core.prediction_log.store import DatabaseUnavailableError, RejectedRecord
from services.prediction.log.wal import (
    DEAD_LETTER_FOLDER,
    LockedFolder,
    WriteAheadLog,
    claim_orphan_folders,
    read_segment,
)

DAY_SECONDS = 86_400


class DeadLetters:
    """Dead-letter files below the WAL's folder, one per day, shared by replicas."""

    def __init__(self, root: Path) -> None:
        self.folder = root / DEAD_LETTER_FOLDER
        self.count = 0

    def keep(self, letters: Sequence[tuple[bytes, str]]) -> None:
        """Append (line, reason) pairs. Synced to disk on return.

        Raises:
            OSError: the disk refused; the source segment must not be deleted then.
        """
        if not letters:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        lines = [
            to_json({"at": now, "reason": reason, "record": line.decode("utf-8", "replace")}) + b"\n"
            for line, reason in letters
        ]
        path = self.folder / f"{now:%Y-%m-%d}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            content = b"".join(lines)
            if os.write(descriptor, content) != len(content):
                raise OSError("the disk did not take the dead letters")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.count += len(letters)

    def prune(self, days: int) -> None:
        """Delete files older than ``days``: they hold requests, and retention applies to them too. 0 deletes none."""
        if days <= 0 or not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > days * DAY_SECONDS:
                    path.unlink()


log = structlog.get_logger(__name__)

RECORDS_PER_LOG_LINE = 20
"""Calls per log line: one line for each would slow down thousands of calls a second."""


def log_stored(records: Sequence[Record], poison: Collection[RejectedRecord]) -> None:
    """Log which predictions were stored: ids, versions and times, never requests or answers."""
    refused = {id(item.record) for item in poison}
    stored = [record for record in records if id(record) not in refused]
    calls = dict.fromkeys(_describe_prediction(record) for record in stored if record.kind == "prediction")
    outcomes = dict.fromkeys(_describe_outcome(record) for record in stored if record.kind == "outcome")
    for several in _chunks(list(calls)):
        log.info("calls stored", calls=several)
    for several in _chunks(list(outcomes)):
        log.info("outcomes stored", outcomes=several)


def _chunks(lines: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(lines), RECORDS_PER_LOG_LINE):
        yield lines[start : start + RECORDS_PER_LOG_LINE]


def _describe_prediction(record: Record) -> str:
    row = record.row
    took = row["latency_us"] / 1_000
    return (
        f"{row['request_id']} {row['use_case']} {row['kind']} {row['source']} version {row['model_version']}"
        f" in {took:.1f} ms"
    )


def _describe_outcome(record: Record) -> str:
    row = record.row
    return f"{row['request_id'] or row['prediction_id'] or 'by incident'} {row['use_case']} {row['kind']}"


BATCH_ROWS = 500
MAX_BACKOFF_SECONDS = 30.0
ORPHAN_SCAN_SECONDS = 5.0
LOG_INTERVAL_SECONDS = 60.0
PRUNE_INTERVAL_SECONDS = 3_600.0

StoreRecords = Callable[[Sequence[Record]], list[RejectedRecord]]


class WalShipper:
    """Background thread that moves sealed segments to the database.

    Args:
        store: called in the shipper's thread; raises ``DatabaseUnavailableError`` if the database does not answer.
        seconds: interval between deliveries.
        dead_letter_days: retention of records that the database rejects, days.
    """

    def __init__(
        self, journal: WriteAheadLog, store: StoreRecords, *, seconds: float, dead_letter_days: int = 0
    ) -> None:
        self.journal = journal
        self.dead_letters = DeadLetters(journal.root)
        self.delivered = 0
        self.torn = 0
        self.failures = 0
        self._seconds = seconds
        self._dead_letter_days = dead_letter_days
        self._store = store
        self._adopted: list[LockedFolder] = []
        self._pause, self._due = seconds, 0.0
        self._thread = PeriodicThread("calls-delivery", self._turn, seconds, at_once=False, last=self._last_turn)
        self._told: dict[str, float] = {}
        self._logged_drops = 0
        self._adopt_at = self._prune_at = 0.0

    def start(self) -> None:
        """Open the log and start the thread. Does not wait for the database."""
        self.journal.open()
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Deliver what is possible within about ``seconds``; the rest stays on disk for the next process."""
        self._thread.stop()
        if not self._thread.join(seconds):  # blocked by the database: the lock is released with the process
            return
        self._release()
        self.journal.close()

    def once(self) -> None:
        """Deliver once: this process's segments, then those of dead processes.

        Raises:
            DatabaseUnavailableError: the rest stays on disk.
            OSError: the disk is not writable.
        """
        self._claim_orphans()
        for path in self.journal.seal():
            if self._deliver(path):
                self.journal.delivered(path)
        for folder in tuple(self._adopted):
            for path in folder.segments():
                if self._deliver(path):
                    path.unlink()
            if folder.segments():  # some cannot be read: they stay, and hold up no other
                continue
            folder.release(remove=True)
            self._adopted.remove(folder)
            self.journal.orphan_bytes = self._orphan_bytes()

    def _turn(self) -> None:
        self._maintain()
        if time.monotonic() >= self._due:
            self._pause = self._attempt(self._pause)
            self._due = time.monotonic() + (self._pause if self._pause > self._seconds else 0.0)

    def _last_turn(self) -> None:
        self._due = 0.0
        self._turn()

    def _maintain(self) -> None:
        """Housekeeping that does not need the database."""
        self.journal.open()
        dropped = self.journal.dropped
        if dropped > self._logged_drops and self._may_log("dropped"):
            reason = self.journal.last_error
            log.error("calls are not recorded", dropped=dropped - self._logged_drops, reason=reason)
            self._logged_drops = dropped
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_INTERVAL_SECONDS
            try:
                self.dead_letters.prune(self._dead_letter_days)
            except OSError as error:
                log.warning("dead letters not tidied", reason=str(error))

    def _attempt(self, pause: float) -> float:
        """Deliver once; return the seconds to wait until the next attempt."""
        try:
            self.once()
        except DatabaseUnavailableError as error:
            self.failures += 1
            if self._may_log("away"):
                log.warning("calls wait on disk", reason=str(error), bytes=self.journal.waiting_bytes)
        except Exception:
            # Any failure: calls are answered and recorded on disk; the thread must not end.
            self.failures += 1
            if self._may_log("failed"):
                log.exception("calls cannot be delivered", bytes=self.journal.waiting_bytes)
        else:
            if self._told.pop("away", None) is not None or self._told.pop("failed", None) is not None:
                log.info("calls are delivered again", delivered=self.delivered)
            return self._seconds
        return min(MAX_BACKOFF_SECONDS, pause * random.uniform(1.5, 2.5))  # noqa: S311 - jitter between replicas

    def _claim_orphans(self) -> None:
        if time.monotonic() < self._adopt_at:
            return
        self._adopt_at = time.monotonic() + ORPHAN_SCAN_SECONDS
        for folder in claim_orphan_folders(self.journal.root):
            log.info("journal of a dead process adopted", folder=folder.path.name, segments=len(folder.segments()))
            self._adopted.append(folder)
        self.journal.orphan_bytes = self._orphan_bytes()

    def _orphan_bytes(self) -> int:
        return sum(path.stat().st_size for folder in self._adopted for path in folder.segments())

    def _deliver(self, path: Path) -> bool:
        """Deliver a segment; False if it cannot be read and stays."""
        try:
            segment = read_segment(path)
        except OSError as error:
            if self._may_log(path.name):
                log.error("a segment of the journal cannot be read", segment=path.name, reason=str(error))
            return False
        letters = [(item.line, item.reason) for item in segment.unreadable]
        for start in range(0, len(segment.records), BATCH_ROWS):
            batch = segment.records[start : start + BATCH_ROWS]
            poison = self._store(batch)
            letters += [(item.record.line, item.reason) for item in poison]
            self.delivered += len(batch) - len(poison)
            log_stored(batch, poison)
        if letters:
            log.error("records refused", count=len(letters), reason=letters[0][1], folder=str(self.dead_letters.folder))
            self.dead_letters.keep(letters)
        if segment.torn:
            self.torn += 1
            log.warning("a record was cut off when its process ended; its answer never left", segment=path.name)
        return True

    def _release(self) -> None:
        for folder in self._adopted:
            folder.release()
        self._adopted.clear()

    def _may_log(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._told.get(what, -LOG_INTERVAL_SECONDS) < LOG_INTERVAL_SECONDS:
            return False
        self._told[what] = now
        return True
