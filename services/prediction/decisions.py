"""What the targets that decide say of a call: for the counters, and for the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic_core import to_json

from services.core.usecases.contract import Probability, ProbabilityValue, UseCase, Value


class Decided(NamedTuple):
    word: str
    """What the first target that decides says, for the counters."""
    by_target: bytes
    """JSON object, target -> decision, of the targets that decide."""


class Decisions:
    def __init__(self, use_case: UseCase) -> None:
        self._decides = [target.name for target in use_case.targets if isinstance(target.output, Probability)]
        self._decided: dict[tuple[bool, ...], Decided] = {}

    def of(self, values: Mapping[str, Value]) -> Decided:
        """What the targets that decide say; kept, because there are few ways to decide and many calls."""
        said = []
        for name in self._decides:
            value = values[name]
            assert isinstance(value, ProbabilityValue)
            said.append(bool(value.decision))
        key = tuple(said)
        found = self._decided.get(key)
        if found is None:
            word = "none" if not said else "yes" if said[0] else "no"
            found = Decided(word, to_json(dict(zip(self._decides, said, strict=True))))
            self._decided[key] = found
        return found
