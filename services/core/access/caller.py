"""Who calls: what a verified token or key says about its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.core.access.roles import Role


@dataclass(frozen=True, slots=True)
class Caller:
    """``id`` is a user's, key's or service's; ``name`` is what people read.

    ``centre`` is where the caller belongs and what its calls are marked with. ``centres`` are those
    whose calls it may see; None stands for all. ``use_cases`` are those that it may call; None
    stands for all.
    """

    kind: Literal["user", "key", "service"]
    id: str
    name: str
    role: Role
    centre: str
    centres: frozenset[str] | None = frozenset()
    use_cases: frozenset[str] | None = None

    def sees(self, centre: str) -> bool:
        return self.centres is None or centre == self.centre or centre in self.centres

    def may_call(self, use_case: str) -> bool:
        return self.use_cases is None or use_case in self.use_cases
