"""Brings the journal into the database, in the background and in batches.

A segment is removed only after its last batch was committed, and a record that is delivered again changes
nothing, so a process that is killed anywhere in between loses nothing and doubles nothing. While the
database is away segments pile up on disk and attempts grow rarer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from services.core.background import PeriodicThread
from services.core.calls.away import DatabaseAwayError
from services.core.calls.records import Record
from services.core.calls.store import Poison
from services.prediction.dead_letters import DeadLetters
from services.prediction.journal import Journal
from services.prediction.journal_folders import HeldFolder, adopt
from services.prediction.segments import read_segment
from services.prediction.story import tell

log = structlog.get_logger(__name__)

BATCH_ROWS = 500
LONGEST_PAUSE = 30.0
ADOPTION_SECONDS = 5.0
TELL_SECONDS = 60.0
PRUNE_SECONDS = 3_600.0

Store = Callable[[Sequence[Record]], list[Poison]]


class Delivery:
    """
    Args:
        store: called in the delivery's thread; raises ``DatabaseAwayError`` where the database is away.
        seconds: how often finished segments are delivered.
        dead_letter_days: how long records that the database refuses are kept.
    """

    def __init__(self, journal: Journal, store: Store, *, seconds: float, dead_letter_days: int = 0) -> None:
        self.journal = journal
        self.dead_letters = DeadLetters(journal.root)
        self.delivered = 0
        self.torn = 0
        self.failures = 0
        self._seconds = seconds
        self._dead_letter_days = dead_letter_days
        self._store = store
        self._adopted: list[HeldFolder] = []
        self._pause, self._due = seconds, 0.0
        self._thread = PeriodicThread("calls-delivery", self._turn, seconds, at_once=False, last=self._last_turn)
        self._told: dict[str, float] = {}
        self._told_drops = 0
        self._adopt_at = self._prune_at = 0.0

    def start(self) -> None:
        """Open the journal and begin. The database is not waited for."""
        self.journal.open()
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Deliver what can be delivered within about ``seconds`` and leave the rest to the next process."""
        self._thread.stop()
        if not self._thread.join(seconds):  # held up by the database: the lock ends with the process
            return
        self._release()
        self.journal.close()

    def once(self) -> None:
        """One round: own segments, then those of dead processes.

        Raises:
            DatabaseAwayError: the rest stays on disk.
            OSError: the disk does not do as told.
        """
        self._adopt()
        for path in self.journal.seal():
            self._deliver(path)
            self.journal.delivered(path)
        for folder in tuple(self._adopted):
            for path in folder.segments():
                self._deliver(path)
                path.unlink()
            folder.release(remove=True)
            self._adopted.remove(folder)
            self.journal.adopted_bytes = self._waiting_in_adopted()

    def _turn(self) -> None:
        self._tend()
        if time.monotonic() >= self._due:
            self._pause = self._attempt(self._pause)
            self._due = time.monotonic() + (self._pause if self._pause > self._seconds else 0.0)

    def _last_turn(self) -> None:
        self._due = 0.0
        self._turn()

    def _tend(self) -> None:
        """What has to be done whether the database is there or not."""
        self.journal.open()
        dropped = self.journal.dropped
        if dropped > self._told_drops and self._may_tell("dropped"):
            reason = self.journal.trouble or "the journal is full"
            log.error("calls are not recorded", dropped=dropped - self._told_drops, reason=reason)
            self._told_drops = dropped
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_SECONDS
            try:
                self.dead_letters.prune(self._dead_letter_days)
            except OSError as error:
                log.warning("dead letters not tidied", reason=str(error))

    def _attempt(self, pause: float) -> float:
        """One round, and how long to wait until the next."""
        try:
            self.once()
        except DatabaseAwayError as error:
            self.failures += 1
            if self._may_tell("away"):
                log.warning("calls wait on disk", reason=str(error), bytes=self.journal.waiting_bytes)
        except Exception:
            # Whatever it is, calls are answered and wait on disk; the thread must not end.
            self.failures += 1
            if self._may_tell("failed"):
                log.exception("calls cannot be delivered", bytes=self.journal.waiting_bytes)
        else:
            if self._told.pop("away", None) is not None or self._told.pop("failed", None) is not None:
                log.info("calls are delivered again", delivered=self.delivered)
            return self._seconds
        return min(LONGEST_PAUSE, pause * random.uniform(1.5, 2.5))  # noqa: S311 - spreads replicas

    def _adopt(self) -> None:
        if time.monotonic() < self._adopt_at:
            return
        self._adopt_at = time.monotonic() + ADOPTION_SECONDS
        for folder in adopt(self.journal.root):
            log.info("journal of a dead process adopted", folder=folder.path.name, segments=len(folder.segments()))
            self._adopted.append(folder)
        self.journal.adopted_bytes = self._waiting_in_adopted()

    def _waiting_in_adopted(self) -> int:
        return sum(path.stat().st_size for folder in self._adopted for path in folder.segments())

    def _deliver(self, path: Path) -> None:
        segment = read_segment(path)
        letters = [(item.line, item.reason) for item in segment.unreadable]
        for start in range(0, len(segment.records), BATCH_ROWS):
            batch = segment.records[start : start + BATCH_ROWS]
            poison = self._store(batch)
            letters += [(item.record.line, item.reason) for item in poison]
            self.delivered += len(batch) - len(poison)
            tell(batch, poison)
        if letters:
            log.error("records refused", count=len(letters), reason=letters[0][1], folder=str(self.dead_letters.folder))
            self.dead_letters.keep(letters)
        if segment.torn:
            self.torn += 1
            log.warning("a record was cut off when its process ended; its answer never left", segment=path.name)

    def _release(self) -> None:
        for folder in self._adopted:
            folder.release()
        self._adopted.clear()

    def _may_tell(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._told.get(what, -TELL_SECONDS) < TELL_SECONDS:
            return False
        self._told[what] = now
        return True
