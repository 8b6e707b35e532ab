"""What the simulator's routes take and tell."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MOST_SECONDS = 86_400


class NewSimulation(BaseModel):
    """What is left out is as the scenario says."""

    model_config = ConfigDict(extra="forbid")

    scenario: str = Field(max_length=60, examples=["storm"])
    rate: float | None = Field(default=None, gt=0, le=100_000, description="Calls per second, on average.")
    seconds: float | None = Field(default=None, gt=0, le=MOST_SECONDS, description="How long calls come.")
    speed: float | None = Field(default=None, gt=0, le=1_000_000, description="Simulated seconds in one second.")
    use_cases: list[str] = Field(default=[], max_length=50, description="Only these; empty: as the scenario says.")
    starts: str | None = Field(default=None, max_length=20, description="YYYY-MM-DDTHH:MM or HH:MM, local time.")
    seed: int | None = Field(default=None, ge=0, lt=2**31, description="The same seed gives the same calls.")


class NewReplay(NewSimulation):
    replay: Path | None = Field(default=None, description="A folder of official files to play in order of time.")


class Calls(BaseModel):
    sent: int
    answered: int
    refused: int = Field(description="4xx, of ordinary calls.")
    failed: int = Field(description="5xx, or no answer.")
    not_sent: int = Field(description="Too many waited for their answer already.")
    by_use_case: dict[str, int]
    by_centre: dict[str, int]


class SimulationState(BaseModel):
    """A simulation and its figures, live while it runs."""

    id: str
    scenario: str
    title: str
    state: str = Field(description="preparing, running, ending, finished, stopped or failed")
    error: str
    asked_by: str
    started_at: datetime
    finished_at: datetime | None
    rate: float
    seconds: float
    speed: float
    seed: int
    use_cases: list[str]
    elapsed: float = Field(description="Seconds since the first call could come.")
    clock: datetime = Field(description="The simulated moment.")
    calls: Calls
    rate_now: float = Field(description="Calls sent per second over the last five seconds.")
    latency_ms: dict[str, float | None] = Field(description="From the moment a call was meant to be sent.")
    statuses: dict[str, int]
    sources: dict[str, float] = Field(description="Share of the answers by where they came from.")
    outcomes: dict[str, int]
    outcomes_waiting: int
    hostile: dict[str, int]
    live_error: dict[str, dict[str, dict[str, Any]]] = Field(
        description="Use case -> target -> metric, value and count, of answers whose outcome was reported."
    )
    latest_errors: list[str]


class Simulations(BaseModel):
    scenarios: dict[str, str] = Field(description="Name -> title.")
    simulations: list[SimulationState] = Field(description="Newest first.")
