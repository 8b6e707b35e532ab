"""A registered version of a bundle, as the platform sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


@dataclass(frozen=True, slots=True)
class Version:
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


def from_mlflow(found: Any) -> Version:
    """From MLflow's ``ModelVersion``. What is not in its tags was not registered by Vigie: it is shown
    with an empty hash, and no bundle matches that."""
    tags = {str(key): str(value) for key, value in (found.tags or {}).items()}
    return Version(
        use_case=found.name,
        number=int(found.version),
        bundle_hash=tags.get("bundle_hash", ""),
        created=tags.get("created", ""),
        simulated=tags.get("simulated", "no") == "yes",
        run_id=found.run_id or "",
        source=found.source or "",
        metrics=json.loads(tags.get("metrics", "{}")),
        tags=tags,
        aliases=tuple(found.aliases or ()),
    )
