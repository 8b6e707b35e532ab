"""Errors for people: the problem, what was expected, what to do."""

from __future__ import annotations


class VigieError(Exception):
    """An error that a user can act on. The command line and the services show its three sentences instead of a
    traceback."""

    def __init__(self, problem: str, *, expected: str = "", action: str = "") -> None:
        self.problem = problem
        self.expected = expected
        self.action = action
        super().__init__(problem)

    def __str__(self) -> str:
        lines = [self.problem]
        if self.expected:
            lines.append(f"Expected: {self.expected}")
        if self.action:
            lines.append(f"What to do: {self.action}")
        return "\n".join(lines)


class NotFoundError(VigieError):
    """The requested object does not exist."""


class ConflictError(VigieError):
    """The request conflicts with the current state."""


class UnavailableError(VigieError):
    """A dependency does not answer; a retry may succeed."""


class UnexpectedAnswerError(VigieError):
    """Another service answered with an unexpected status or body."""

    def __init__(self, problem: str, *, status: int, expected: str = "", action: str = "") -> None:
        super().__init__(problem, expected=expected, action=action)
        self.status = status
