"""A simulated month written into the tables day by day, as prediction and delivery would have: no clock, no network."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from services.core.paths import VigiePaths
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from services.simulator.call_generator import generate_calls
from services.simulator.datasets import build_pools
from services.simulator.plan import SimulationPlan, make_plan
from services.simulator.scenario import Scenario, UseCaseScenario

DAYS, SECONDS = 30, 300.0
Rows = list[tuple[float, dict[str, Any]]]
"""(seconds since the simulation's begin, row)"""


def month(
    use_case: str, *, calls_a_day: float, seed: int, starts: str, played: UseCaseScenario | None = None
) -> SimulationPlan:
    """A month of calls; ``played`` says how its world changes, unchanged without it."""
    scenario = Scenario(
        name="month",
        title="",
        rate=calls_a_day * DAYS / SECONDS,
        seconds=SECONDS,
        speed=DAYS * 86_400 / SECONDS,
        use_cases={use_case: played or UseCaseScenario()},
        examples=6_000,
    )
    made = make_plan(scenario, seed=seed, starts=starts, use_cases=[use_case])
    return replace(made, id=f"{seed:016x}")  # the calls' ids, by which training sorts its rows


def after_training(home: Path, use_case: str) -> str:
    """The month begins where the training data ends, as it would on a platform that runs."""
    manifest = json.loads((VigiePaths(home).data(use_case) / "examples" / "manifest.json").read_text())
    last = manifest["span"].get("last", "2026-09-01T00:00:00+00:00")
    return (datetime.fromisoformat(last) + timedelta(days=1)).strftime("%Y-%m-%dT00:00")


@dataclass
class StoredMonth:
    """What is not stored yet. Calls are ``version``'s when they are stored, and came at that moment."""

    engine: Engine
    plan: SimulationPlan
    version: int
    _predictions: Rows = field(default_factory=list)
    _outcomes: Rows = field(default_factory=list)

    def __post_init__(self) -> None:
        for call in generate_calls(self.plan, build_pools(self.plan.worlds())):
            body = json.loads(call.body)
            common = {
                "use_case": call.use_case,
                "centre": call.centre,
                "caller_kind": "key",
                "caller_id": "month",
                "request_id": call.request_id,
                "row_index": None,
                "simulated": True,
                "kind": "simulated",
            }
            prediction = {
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, call.request_id)),
                "incident_id": body.pop("incident_id"),
                "latency_us": 0,
                "source": "champion",
                "risk": None,
                "pseudonymised": False,
                "request": body,
                "answer": {},
                "decisions": {},
                "warnings": [],
                "watched": None,
            }
            self._predictions.append((call.elapsed, common | prediction))
            for delay, report in call.reports:
                outcome = {
                    "id": str(uuid.uuid4()),
                    "prediction_id": None,
                    "incident_id": None,
                    "happened_at": report.happened_at,
                    "labels": dict(report.labels),
                }
                self._outcomes.append((call.elapsed + delay.total_seconds() / self.plan.clock.speed, common | outcome))
        self._outcomes.sort(key=lambda row: row[0])

    def days(self) -> Iterator[int]:
        """Store day after day; its number, from 1."""
        for day in range(1, DAYS + 1):
            predictions = _due(self._predictions, day)
            with self.engine.begin() as connection:
                for row in predictions:
                    row["model_version"] = str(self.version)
                for table, rows in ((PredictionRow, predictions), (OutcomeRow, _due(self._outcomes, day))):
                    if rows:
                        connection.execute(insert(table), rows)
            yield day


def _due(rows: Rows, day: int) -> list[dict[str, Any]]:
    """Take out what came until the end of ``day``, in its order."""
    due = [row for elapsed, row in rows if elapsed < day * SECONDS / DAYS]
    del rows[: len(due)]
    now = datetime.now(UTC)
    return [row | {"received_at": now - timedelta(microseconds=len(due) - place)} for place, row in enumerate(due)]
