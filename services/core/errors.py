"""Errors that people read: what was expected, what came, what to do."""

from __future__ import annotations


class VigieError(Exception):
    """An error that the person in front of it can act on. The command line and the services show
    its three sentences instead of a traceback."""

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
    """What was asked for is not there."""


class ConflictError(VigieError):
    """What was asked for does not go with what is there."""


class UnavailableError(VigieError):
    """Something that is needed does not answer now; later it may."""


class UnexpectedAnswerError(VigieError):
    """Another service answered with a status or a body that was not expected."""

    def __init__(self, problem: str, *, status: int, expected: str = "", action: str = "") -> None:
        super().__init__(problem, expected=expected, action=action)
        self.status = status
