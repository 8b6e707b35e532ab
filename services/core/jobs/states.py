"""The states of a job."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """the service ended while the job ran, and the job will not run again by itself"""

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the job unless somebody asks for it."""
        return self not in {State.QUEUED, State.RUNNING}
