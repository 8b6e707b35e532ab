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
    """A temporary increase of the call rate; ``begins`` and ``ends`` are fractions of the simulation."""

    begins: Share
    ends: Share
    times: float = Field(gt=0)
    """Factor of the rate at the peak, in the middle; rises and falls as a half sine."""


class ConceptChange(_ScenarioModel):
    """Concept drift: the share of calls from the changed dataset rises from 0 at ``begins`` to 1 at ``complete``,
    both fractions of the simulation. Equal values are an abrupt change."""

    drift: tuple[str, ...]
    """Drift types of the use case's own simulator."""
    begins: Share = 0.0
    complete: Share = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> ConceptChange:
        if self.complete < self.begins:
            raise ValueError("complete comes after begins")
        return self

    def share(self, progress: float) -> float:
        """Share of calls from the changed dataset at ``progress`` of the simulation."""
        if progress >= self.complete:
            return 1.0
        return 0.0 if progress <= self.begins else (progress - self.begins) / (self.complete - self.begins)


class UseCaseScenario(_ScenarioModel):
    """Weight, concept change and missing fields of one use case."""

    weight: float = Field(default=1.0, gt=0)
    change: ConceptChange | None = None
    left_out: dict[str, Share] = {}
    """Request field -> share of calls that omit it."""


class OutcomeReporting(_ScenarioModel):
    """How outcomes are reported. Delays are in simulated time, log-normal around ``median_minutes``."""

    median_minutes: float = Field(default=35.0, gt=0)
    spread: float = Field(default=0.6, ge=0)
    """Standard deviation of the delay's logarithm."""
    late: Share = 0.05
    """Share of reports that take ``late_times`` as long."""
    late_times: float = Field(default=12.0, ge=1)
    corrected: Share = 0.04
    """Share of reports that are first wrong and corrected after a second delay."""
    never: Share = 0.10


class Scenario(_ScenarioModel):
    """A scenario: use cases, call rate, concept change, outcomes and malformed requests."""

    name: str
    title: str
    use_cases: dict[str, UseCaseScenario] = {}
    """Empty for all use cases, weighted alike."""
    rate: float = Field(gt=0)
    """Mean calls per second of an ordinary week."""
    seconds: float = Field(gt=0)
    speed: float = Field(default=1.0, gt=0)
    """Simulated seconds per second."""
    steady: bool = False
    """No daily and weekly pattern: calls have equal intervals."""
    day: Weights24 = [3, 2.6, 2, 1.7, 1.5, 1.6, 2, 2.8, 3.7, 4.4, 4.8, 5.1, 5.3, 5.5, 5.6, 5.8, 6, 6.2, 6.7, 6.2, 5.6,
                      4.9, 4.2, 3.6]  # fmt: skip
    """Relative call rate by local hour, typical of a large city."""
    week: Weights7 = [0.98, 0.97, 0.98, 1.0, 1.05, 1.06, 0.96]
    """Relative call rate by weekday, Monday first."""
    starts: str | None = None
    """Local time at which the simulated clock starts, YYYY-MM-DDTHH:MM, or an hour of the day, HH:MM. By default the
    simulation ends now."""
    burst: Burst | None = None
    outcomes: OutcomeReporting = OutcomeReporting()
    hostile: Share = 0.0
    """Share of malformed or hostile requests."""
    examples: int = Field(default=3_000, ge=50, le=100_000)
    """Calls generated in advance for each use case and each changed dataset; more if the simulation will draw
    more."""


def list_scenarios() -> list[str]:
    return sorted(path.stem for path in SCENARIO_FOLDER.glob("*.yaml"))


def load_scenario(name: str) -> Scenario:
    """Load a scenario.

    Raises:
        NotFoundError: the scenario does not exist.
        VigieError: its file is invalid.
    """
    if name not in list_scenarios():
        raise NotFoundError(f"There is no scenario {name!r}.", expected="one of " + ", ".join(list_scenarios()))
    path = SCENARIO_FOLDER / f"{name}.yaml"
    try:
        return Scenario.model_validate({"name": name, **yaml.safe_load(path.read_text(encoding="utf-8"))})
    except (ValidationError, yaml.YAMLError) as error:
        raise VigieError(f"{path.name}: {error}", expected="the keys of services/simulator/scenario.py") from error
