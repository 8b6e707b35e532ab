"""How often and when each API key was used, counted in memory and told to the gateway now and then."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, Field


class KeyUse(BaseModel):
    """Uses of one key since the last report."""

    id: str = Field(min_length=1, max_length=64)
    last_used_at: AwareDatetime
    uses: int = Field(ge=1)


class KeyUsage:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[str, tuple[int, float]] = {}

    def count(self, key: str, now: float, uses: int = 1) -> None:
        """``now`` is in Unix seconds."""
        with self._lock:
            before, last = self._uses.get(key, (0, 0.0))
            self._uses[key] = (before + uses, max(last, now))

    def take(self) -> list[KeyUse]:
        """What was counted since the last time."""
        with self._lock:
            taken, self._uses = self._uses, {}
        return [
            KeyUse(id=key, last_used_at=datetime.fromtimestamp(last, UTC), uses=uses)
            for key, (uses, last) in taken.items()
        ]

    def put_back(self, uses: Iterable[KeyUse]) -> None:
        """The report did not arrive: it goes with the next one."""
        for use in uses:
            self.count(use.id, use.last_used_at.timestamp(), use.uses)
