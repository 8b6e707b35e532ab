"""A registered version of a bundle, as the platform sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

CHAMPION, CHALLENGER, PREVIOUS = ALIASES = "champion", "challenger", "previous"


class Tag:
    """Names of a version's tags in the registry."""

    BUNDLE_HASH: Final = "bundle_hash"
    CODE: Final = "code"
    CREATED: Final = "created"
    METRICS: Final = "metrics"
    SIMULATED: Final = "simulated"
    # what the gate decided
    GATE: Final = "gate"
    GATE_REASONS: Final = "gate_reasons"
    GATE_METRIC: Final = "gate_metric"
    GATE_ROWS: Final = "gate_rows"
    GAIN: Final = "gain"
    BOUND: Final = "bound"
    COMPARED_WITH: Final = "compared_with"
    # what became of it
    FOLLOWS: Final = "follows"
    """Number of the champion whose place it took."""
    PROMOTED: Final = "promoted"
    """When, ISO 8601 in UTC."""
    ROLLED_BACK: Final = "rolled_back"
    """When, ISO 8601 in UTC; empty where it was promoted again."""


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    use_case: str
    number: int
    bundle_hash: str
    created: str
    """When the bundle was made, ISO 8601 in UTC."""
    simulated: bool
    run_id: str
    source: str
    """Where the registry keeps the bundle."""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    """Target or variant -> metric -> value on the test slice of its own data."""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


def from_mlflow(found: Any) -> RegisteredVersion:
    """From MLflow's ``ModelVersionDetails``. What is not in its tags was not registered by Vigie: it is shown
    with an empty hash, and no bundle matches that."""
    tags = {str(key): str(value) for key, value in (found.tags or {}).items()}
    return RegisteredVersion(
        use_case=found.name,
        number=int(found.version),
        bundle_hash=tags.get(Tag.BUNDLE_HASH, ""),
        created=tags.get(Tag.CREATED, ""),
        simulated=tags.get(Tag.SIMULATED, "no") == "yes",
        run_id=found.run_id or "",
        source=found.source or "",
        metrics=json.loads(tags.get(Tag.METRICS, "{}")),
        tags=tags,
        aliases=tuple(found.aliases or ()),
    )
