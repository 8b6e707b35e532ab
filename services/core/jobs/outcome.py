"""How a job ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.core.errors import VigieError
from services.core.jobs.states import State


@dataclass(frozen=True, slots=True)
class Outcome:
    state: State
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None


def failed(problem: str, *, expected: str = "", action: str = "", state: State = State.FAILED) -> Outcome:
    return Outcome(state, error={"problem": problem, "expected": expected, "action": action})


def sentences(error: VigieError) -> dict[str, str]:
    return {"problem": error.problem, "expected": error.expected, "action": error.action}
