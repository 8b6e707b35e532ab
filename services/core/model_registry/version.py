"""A registered version of a bundle, and the names of its tags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

CHAMPION, CHALLENGER, PREVIOUS = ALIASES = "champion", "challenger", "previous"


class Tag:
    """Names of a version's tags in the registry."""

    BUNDLE_HASH: Final = "bundle_hash"
    CODE: Final = "code"
    CREATED: Final = "created"
    METRICS: Final = "metrics"
    SIMULATED: Final = "simulated"
    # the gate's decision
    GATE: Final = "gate"
    GATE_REASONS: Final = "gate_reasons"
    GATE_METRIC: Final = "gate_metric"
    GATE_ROWS: Final = "gate_rows"
    GAIN: Final = "gain"
    BOUND: Final = "bound"
    COMPARED_WITH: Final = "compared_with"
    # history of the version
    FOLLOWS: Final = "follows"
    """Number of the champion that it replaced."""
    PROMOTED: Final = "promoted"
    """Time of promotion, ISO 8601 in UTC."""
    ROLLED_BACK: Final = "rolled_back"
    """Time of rollback, ISO 8601 in UTC; empty if promoted again."""


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A version of a use case's bundle in the registry."""

    use_case: str
    number: int
    bundle_hash: str
    created: str
    """Creation time of the bundle, ISO 8601 in UTC."""
    simulated: bool
    run_id: str
    source: str
    """Location of the bundle in the registry."""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    """Target or variant -> metric -> value on the test slice of its own data."""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
