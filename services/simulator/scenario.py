"""Loads and validates scenarios: YAML files in ``scenarios/``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.core.errors import NotFoundError, VigieError

SCENARIO_FOLDER = Path(__file__).parent / "scenarios"

Weights24 = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=24, max_length=24)]
Weights7 = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=7, max_length=7)]
Share = Annotated[float, Field(ge=0, le=1)]


class _ScenarioModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Burst(_ScenarioModel):
    """For a while there are many times more calls; ``begins`` and ``ends`` are shares of the simulation."""

    begins: Share
    ends: Share
    times: float = Field(gt=0)
    """So many times as many at its height, in the middle; it swells and ebbs as half a sine."""


class ConceptChange(_ScenarioModel):
    """The world changes: the share of calls from the changed world grows from 0 at ``begins`` to 1 at ``complete``,
    both shares of the simulation. The same moment is a sudden change."""

    drift: tuple[str, ...]
    """Kinds of drift of the use case's own simulator."""
    begins: Share = 0.0
    complete: Share = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> ConceptChange:
        if self.complete < self.begins:
            raise ValueError("complete comes after begins")
        return self

    def share(self, progress: float) -> float:
        """Of calls from the changed world, at ``progress`` of the simulation."""
        if progress >= self.complete:
            return 1.0
        return 0.0 if progress <= self.begins else (progress - self.begins) / (self.complete - self.begins)


class UseCaseScenario(_ScenarioModel):
    """How one use case takes part."""

    weight: float = Field(default=1.0, gt=0)
    change: ConceptChange | None = None
    left_out: dict[str, Share] = {}
    """Request field -> share of calls that do not say it."""


class OutcomeReporting(_ScenarioModel):
    """What becomes of calls. Delays are of the simulated clock, log-normal around ``median_minutes``."""

    median_minutes: float = Field(default=35.0, gt=0)
    spread: float = Field(default=0.6, ge=0)
    """Standard deviation of the delay's logarithm."""
    late: Share = 0.05
    """These take ``late_times`` as long."""
    late_times: float = Field(default=12.0, ge=1)
    corrected: Share = 0.04
    """These are reported wrongly first, and rightly after a second delay."""
    never: Share = 0.10


class Scenario(_ScenarioModel):
    name: str
    title: str
    use_cases: dict[str, UseCaseScenario] = {}
    """Empty stands for every use case that there is, each as the next."""
    rate: float = Field(gt=0)
    """Calls per second, on the average of an ordinary week."""
    seconds: float = Field(gt=0)
    speed: float = Field(default=1.0, gt=0)
    """Simulated seconds that pass in one second."""
    steady: bool = False
    """Whether day and week have no shape, and calls come at equal distances."""
    day: Weights24 = [3, 2.6, 2, 1.7, 1.5, 1.6, 2, 2.8, 3.7, 4.4, 4.8, 5.1, 5.3, 5.5, 5.6, 5.8, 6, 6.2, 6.7, 6.2, 5.6,
                      4.9, 4.2, 3.6]  # fmt: skip
    """Calls by local hour, as emergency calls of a large city come."""
    week: Weights7 = [0.98, 0.97, 0.98, 1.0, 1.05, 1.06, 0.96]
    """Calls by weekday, Monday first."""
    starts: str | None = None
    """Local moment at which the simulated clock starts, as YYYY-MM-DDTHH:MM, or an hour of the day as HH:MM. Without
    one the simulation ends now."""
    burst: Burst | None = None
    outcomes: OutcomeReporting = OutcomeReporting()
    hostile: Share = 0.0
    """Share of requests that no caller should send."""
    examples: int = Field(default=3_000, ge=50, le=100_000)
    """Calls of each use case, and of each changed world, that are thought up beforehand and drawn from; as many as
    will be drawn where that is more."""


def list_scenarios() -> list[str]:
    return sorted(path.stem for path in SCENARIO_FOLDER.glob("*.yaml"))


def load_scenario(name: str) -> Scenario:
    """
    Raises:
        NotFoundError: there is no such scenario.
        VigieError: its file is wrong.
    """
    if name not in list_scenarios():
        raise NotFoundError(f"There is no scenario {name!r}.", expected="one of " + ", ".join(list_scenarios()))
    path = SCENARIO_FOLDER / f"{name}.yaml"
    try:
        return Scenario.model_validate({"name": name, **yaml.safe_load(path.read_text(encoding="utf-8"))})
    except (ValidationError, yaml.YAMLError) as error:
        raise VigieError(f"{path.name}: {error}", expected="the keys of services/simulator/scenario.py") from error
