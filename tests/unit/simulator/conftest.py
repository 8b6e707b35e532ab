"""Plans and worlds of the toy use case; nothing is written or read but where a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.core.contract.use_case import UseCase
from services.simulator.datasets import Example, ExamplePool
from services.simulator.plan import CHANGED_SUFFIX, SimulatedClock, SimulationPlan
from services.simulator.scenario import Scenario, UseCaseScenario
from tests.toy.declaration import USE_CASE
from tests.toy.declared import toy_declared

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""


@pytest.fixture(autouse=True)
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case


def scenario(**changes: Any) -> Scenario:
    given = {"name": "made-up", "title": "Made up for a test", "rate": 20.0, "seconds": 60.0, "speed": 60.0}
    return Scenario.model_validate(given | changes)


def plan(*, seed: int = 3, played: UseCaseScenario | None = None, **changes: Any) -> SimulationPlan:
    chosen = scenario(**changes)
    return SimulationPlan(
        id="0123456789abcdef",
        scenario=chosen,
        use_cases={"toy": played or UseCaseScenario()},
        rate=chosen.rate,
        seconds=chosen.seconds,
        clock=SimulatedClock(START, chosen.speed, ZoneInfo("UTC")),
        seed=seed,
    )


def example(number: int, at: datetime, town: str = "east") -> Example:
    request = {"called_at": at.isoformat(), "distance": number / 10, "kind": "letter", "town": town}
    return Example(request, {"seconds": 300.0 + number, "late": number % 2 == 0, "size": "small"}, at.timestamp())


def pools() -> dict[str, ExamplePool]:
    """Two weeks with an example every half hour, and a changed world in the west."""
    moments = [START - timedelta(days=1) + timedelta(minutes=30 * number) for number in range(2 * 24 * 14)]
    return {
        "toy": ExamplePool(USE_CASE, [example(number % 900, at) for number, at in enumerate(moments)]),
        "toy" + CHANGED_SUFFIX: ExamplePool(
            USE_CASE, [example(number % 900, at, "west") for number, at in enumerate(moments)]
        ),
    }
