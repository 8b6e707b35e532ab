"""What one simulation is to do: a scenario with what was asked for beside it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from services.core.errors import VigieError
from services.core.usecases import registry
from services.core.usecases.columns import kinds
from services.simulator.clock import Clock, start_of
from services.simulator.scenario import Played, Scenario
from services.simulator.worlds import World

CENTRES: Mapping[str, float] = {"simulated-north": 0.5, "simulated-south": 0.3, "simulated-east": 0.2}
"""Centre -> share of the calls."""
CHANGED = "+changed"
MOST_EXAMPLES = 20_000
"""Of one world, kept in memory: some 50 MB, and a few seconds to think up. Pictures take more of both."""


@dataclass(frozen=True, slots=True)
class Plan:
    id: str
    scenario: Scenario
    use_cases: Mapping[str, Played]
    rate: float
    seconds: float
    clock: Clock
    seed: int
    replay: Path | None = None

    def worlds(self) -> dict[str, World]:
        """The worlds that calls are drawn from; a changed one beside the ordinary one."""
        made: dict[str, World] = {}
        weights = sum(played.weight for played in self.use_cases.values())
        for name, played in self.use_cases.items():
            expected = math.ceil(self.rate * self.seconds * played.weight / weights)
            most = 0 if "image" in kinds(registry.get(name).request).values() else MOST_EXAMPLES
            rows = max(self.scenario.examples, min(most, expected))
            changed = played.change
            for mark, drift in ((name, ()), (name + CHANGED, changed.drift if changed is not None else ())):
                if mark == name or drift:
                    made[mark] = World(
                        name,
                        drift,
                        rows,
                        int(np.random.default_rng([self.seed, len(made)]).integers(2**31)),
                        self.clock.start,
                        timedelta(seconds=self.seconds * self.clock.speed),
                    )
        return made


def planned(
    scenario: Scenario,
    *,
    rate: float | None = None,
    seconds: float | None = None,
    speed: float | None = None,
    use_cases: Sequence[str] = (),
    starts: str | None = None,
    seed: int | None = None,
    replay: Path | None = None,
    now: datetime | None = None,
) -> Plan:
    """
    Raises:
        VigieError: an unknown use case, a beginning that is none, or a replay of several use cases.
    """
    for name in use_cases:
        registry.get(name)
    chosen = tuple(use_cases) or tuple(scenario.use_cases) or registry.names()
    if replay is not None and len(chosen) != 1:
        raise VigieError(
            "A replay is of one use case's files.", expected="one use case", action="Name it with --use-case."
        )
    played = {name: scenario.use_cases.get(name, Played()) for name in chosen}
    zone = ZoneInfo(next((registry.get(name).zone for name in chosen if registry.get(name).zone), None) or "UTC")
    long, fast = seconds or scenario.seconds, speed or scenario.speed
    begin = start_of(starts or scenario.starts, zone, timedelta(seconds=long * fast), now or datetime.now(UTC))
    return Plan(
        id=secrets.token_hex(8),
        scenario=scenario,
        use_cases=played,
        rate=rate or scenario.rate,
        seconds=long,
        clock=Clock(begin, fast, zone),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        replay=replay,
    )
