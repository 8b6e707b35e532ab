"""Plan of one simulation: scenario, options, simulated clock and arrival times.

Arrivals are an inhomogeneous Poisson process with daily, weekly and burst patterns."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from services.core import use_case_registry
from services.core.contract.columns import column_types
from services.core.errors import VigieError
from services.simulator.datasets import SimulatedDataset
from services.simulator.scenario import Burst, Scenario, UseCaseScenario


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """Maps elapsed to simulated time: ``speed`` simulated seconds per second."""

    start: datetime
    speed: float
    zone: ZoneInfo

    def at(self, elapsed: float) -> datetime:
        """The simulated moment (UTC) ``elapsed`` seconds after the start."""
        return self.start + timedelta(seconds=elapsed * self.speed)


def simulation_start(starts: str | None, zone: ZoneInfo, length: timedelta, now: datetime) -> datetime:
    """Start of a simulation of ``length`` (simulated time). It ends before ``now``, because future outcomes cannot be
    reported; only a complete moment in the past may be given instead.

    Raises:
        VigieError: ``starts`` is neither a moment nor an hour of the day.
    """
    latest = now - length
    if starts is None:
        return latest
    try:
        if "T" in starts:
            return datetime.fromisoformat(starts).replace(tzinfo=zone).astimezone(UTC)
        hour = datetime.strptime(starts, "%H:%M").time()  # noqa: DTZ007 - the zone comes below
    except ValueError:
        raise VigieError(
            f"{starts!r} is no beginning of a simulation.", expected="YYYY-MM-DDTHH:MM or HH:MM, in local time"
        ) from None
    day = latest.astimezone(zone).date()
    begin = datetime.combine(day, hour, zone)
    return (begin if begin <= latest else datetime.combine(day - timedelta(days=1), hour, zone)).astimezone(UTC)


CENTRES: Mapping[str, float] = {"simulated-north": 0.5, "simulated-south": 0.3, "simulated-east": 0.2}
"""Centre -> share of the calls."""
CHANGED_SUFFIX = "+changed"
MAX_EXAMPLES = 20_000
"""Maximum of one dataset in memory: about 50 MB and a few seconds to generate; more with images."""


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """A scenario with the options of one simulation."""

    id: str
    scenario: Scenario
    use_cases: Mapping[str, UseCaseScenario]
    rate: float
    seconds: float
    clock: SimulatedClock
    seed: int
    replay: Path | None = None

    def worlds(self) -> dict[str, SimulatedDataset]:
        """The datasets that calls are drawn from; with concept change a changed one beside the ordinary one."""
        made: dict[str, SimulatedDataset] = {}
        weights = sum(played.weight for played in self.use_cases.values())
        for name, played in self.use_cases.items():
            expected = math.ceil(self.rate * self.seconds * played.weight / weights)
            most = 0 if "image" in column_types(use_case_registry.get(name).serving.request).values() else MAX_EXAMPLES
            rows = max(self.scenario.examples, min(most, expected))
            changed = played.change
            for mark, drift in ((name, ()), (name + CHANGED_SUFFIX, changed.drift if changed is not None else ())):
                if mark == name or drift:
                    made[mark] = SimulatedDataset(
                        name,
                        drift,
                        rows,
                        int(np.random.default_rng([self.seed, len(made)]).integers(2**31)),
                        self.clock.start,
                        timedelta(seconds=self.seconds * self.clock.speed),
                    )
        return made


def make_plan(
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
) -> SimulationPlan:
    """Combine scenario and options into a plan.

    Raises:
        VigieError: an unknown use case, an invalid start, or a replay of several use cases.
    """
    for name in use_cases:
        use_case_registry.get(name)
    chosen = tuple(use_cases) or tuple(scenario.use_cases) or use_case_registry.names()
    if replay is not None and len(chosen) != 1:
        raise VigieError(
            "A replay is of one use case's files.", expected="one use case", action="Name it with --use-case."
        )
    played = {name: scenario.use_cases.get(name, UseCaseScenario()) for name in chosen}
    zone = ZoneInfo(
        next(
            (use_case_registry.get(name).data.timezone for name in chosen if use_case_registry.get(name).data.timezone),
            None,
        )
        or "UTC"
    )
    long, fast = seconds or scenario.seconds, speed or scenario.speed
    begin = simulation_start(starts or scenario.starts, zone, timedelta(seconds=long * fast), now or datetime.now(UTC))
    return SimulationPlan(
        id=secrets.token_hex(8),
        scenario=scenario,
        use_cases=played,
        rate=rate or scenario.rate,
        seconds=long,
        clock=SimulatedClock(begin, fast, zone),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        replay=replay,
    )


def arrival_intensity(
    scenario: Scenario, clock: SimulatedClock, rate: float, seconds: float
) -> Callable[[float], float]:
    """Function from elapsed seconds to calls per second."""
    day, week = np.array(scenario.day), np.array(scenario.week)
    hourly = day / day.mean()
    daily = week / week.mean()

    def of(elapsed: float) -> float:
        swell = 1.0 if scenario.burst is None else _burst_factor(scenario.burst, elapsed / seconds)
        if scenario.steady:
            return rate * swell
        local = clock.at(elapsed).astimezone(clock.zone)
        between = local.minute / 60
        hour = hourly[local.hour] * (1 - between) + hourly[(local.hour + 1) % 24] * between
        return float(rate * swell * hour * daily[local.weekday()])

    return of


def max_intensity(scenario: Scenario, rate: float) -> float:
    """Upper bound of ``arrival_intensity``."""
    day, week = np.array(scenario.day), np.array(scenario.week)
    shape = 1.0 if scenario.steady else float(day.max() / day.mean() * week.max() / week.mean())
    return rate * shape * max(1.0, 1.0 if scenario.burst is None else scenario.burst.times)


def arrival_times(
    draw: np.random.Generator, scenario: Scenario, clock: SimulatedClock, rate: float, seconds: float
) -> Iterator[float]:
    """Elapsed seconds of each call, ascending, up to ``seconds``. Steady scenarios have equal intervals; others are
    drawn from the Poisson process."""
    if scenario.steady and scenario.burst is None:
        yield from (number / rate for number in range(math.floor(rate * seconds)))
        return
    of, most = arrival_intensity(scenario, clock, rate, seconds), max_intensity(scenario, rate)
    elapsed = 0.0
    while (elapsed := elapsed + float(draw.exponential(1 / most))) < seconds:
        if draw.random() * most < of(elapsed):
            yield elapsed


def _burst_factor(burst: Burst, progress: float) -> float:
    if not burst.begins < progress < burst.ends:
        return 1.0
    return 1.0 + (burst.times - 1.0) * math.sin(math.pi * (progress - burst.begins) / (burst.ends - burst.begins))
