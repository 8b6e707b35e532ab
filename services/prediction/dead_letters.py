"""Records that will never go into the tables, kept with their reason for a person to look at."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import to_json

from services.prediction.journal_folders import DEAD_LETTERS

DAY_SECONDS = 86_400


class DeadLetters:
    """One file a day below the journal's folder; replicas share it."""

    def __init__(self, root: Path) -> None:
        self.folder = root / DEAD_LETTERS
        self.count = 0

    def keep(self, letters: Sequence[tuple[bytes, str]]) -> None:
        """Append (line, reason) pairs. On disk when this returns.

        Raises:
            OSError: the disk did not take them; the segment they come from must stay then.
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
        """Remove files older than ``days``: they hold requests, and those are not kept for ever. 0 keeps all."""
        if days <= 0 or not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > days * DAY_SECONDS:
                    path.unlink()
