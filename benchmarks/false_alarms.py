"""How often monitoring cries wolf: ``python -m benchmarks.false_alarms [use case ...] --months 3``.

For each use case a model is trained on simulated data. Then unchanged simulated months are played, each from a seed of
its own: calls and outcomes go straight into a database, as prediction would have stored them, and monitoring looks once
a day with the limits of ``params.yaml``. Whatever it finds is a false alarm.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine, insert

from services.core import params
from services.core.calls.tables import Outcome, Prediction
from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.home import Home
from services.core.registry.client import Registry
from services.core.settings import CHECKOUT, settings
from services.core.usecases import registry as declared
from services.drift.monitor import Monitor, limits_of
from services.simulator.calls import calls
from services.simulator.plan import Plan, planned
from services.simulator.scenario import Played, Scenario
from services.simulator.worlds import pools

DAYS, SECONDS = 30, 300.0
CALLS_A_DAY = 150


class NoDesk:
    """Counts what monitoring would have had done."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def retrain(self, use_case: str, run_id: str, reason: str) -> str:  # noqa: ARG002
        self.asked["retrainings"] += 1
        return "counted"

    def roll_back(self, use_case: str, version: int, reason: str) -> str:  # noqa: ARG002
        self.asked["rollbacks"] += 1
        return "counted"


def trained(home: Path, use_case: str) -> None:
    if not (home / "current" / use_case).exists():
        environment = {**os.environ, "VIGIE_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
        command = [sys.executable, "-m", "services.cli", "run", use_case, "--source", "simulator"]
        subprocess.run(command, env=environment, cwd=CHECKOUT, check=True, capture_output=True)


def month(use_case: str, seed: int, starts: str) -> Plan:
    """An unchanged month of calls, and the pools to draw it from are the plan's own."""
    scenario = Scenario(
        name="unchanged",
        title="",
        rate=CALLS_A_DAY * DAYS / SECONDS,
        seconds=SECONDS,
        speed=DAYS * 86_400 / SECONDS,
        use_cases={use_case: Played()},
        examples=6_000,
    )
    return planned(scenario, seed=seed, starts=starts, use_cases=[use_case])


def after_training(home: Path, use_case: str) -> str:
    """The month begins where the training data ends, as it would on a platform that runs."""
    manifest = json.loads((Home(home).data(use_case) / "examples" / "manifest.json").read_text())
    last = manifest["span"].get("last", "2026-09-01T00:00:00+00:00")
    return (datetime.fromisoformat(last) + timedelta(days=1)).strftime("%Y-%m-%dT00:00")


def stored(plan: Plan, version: int, begin: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of predictions and outcomes, as delivery would have written them."""
    predictions, outcomes = [], []
    for call in calls(plan, pools(plan.worlds())):
        body = json.loads(call.body)
        at = begin + timedelta(seconds=call.elapsed)
        common = {
            "use_case": call.use_case,
            "centre": call.centre,
            "caller_kind": "key",
            "caller_id": "benchmark",
            "request_id": call.request_id,
            "row_index": None,
            "simulated": True,
            "kind": "simulated",
        }
        predictions.append(
            {
                **common,
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, call.request_id)),
                "incident_id": body.pop("incident_id"),
                "received_at": at,
                "latency_us": 0,
                "model_version": str(version),
                "source": "champion",
                "risk": None,
                "pseudonymised": False,
                "request": body,
                "answer": {},
                "decisions": {},
                "warnings": [],
                "watched": None,
            }
        )
        for delay, report in call.reports:
            outcomes.append(
                {
                    **common,
                    "id": str(uuid.uuid4()),
                    "prediction_id": None,
                    "incident_id": None,
                    "received_at": at + delay / plan.clock.speed,
                    "happened_at": report.happened_at,
                    "labels": dict(report.labels),
                }
            )
    return predictions, sorted(outcomes, key=lambda row: row["received_at"])


def days_of(engine: Engine, plan: Plan, version: int) -> Iterator[int]:
    """Store the month day by day."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    predictions, outcomes = stored(plan, version, begin)
    for day in range(1, DAYS + 1):
        until = begin + timedelta(seconds=day * SECONDS / DAYS)
        with engine.begin() as connection:
            for table, rows in ((Prediction, predictions), (Outcome, outcomes)):
                due = [row for row in rows if row["received_at"] < until]
                if due:
                    connection.execute(insert(table), due)
                del rows[: len(due)]
        yield day


def measure(home: Path, use_case: str, months: int) -> dict[str, Any]:
    found: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    chosen = params.load(CHECKOUT).monitoring
    os.environ["VIGIE_HOME"] = str(home)
    settings.cache_clear()
    registry = Registry.open(Home(home))
    version = registry.versions(use_case)[0].number
    for seed in range(1, months + 1):
        with tempfile.TemporaryDirectory(prefix="vigie-false-alarms-") as folder:
            engine = make_engine(f"sqlite:///{folder}/vigie.db")
            upgrade(engine)
            desk = NoDesk()
            monitor = Monitor(Home(home), engine, registry, chosen, desk, limits_of(chosen))
            verdicts = []
            for _ in days_of(engine, month(use_case, seed, after_training(home, use_case)), version):
                run = monitor.run(uuid.uuid4().hex, use_case, with_report=False)
                verdicts.append(run.verdict)
                if run.verdict in {"watch", "drifted"}:
                    reasons.update(
                        f"{reason['code']} {reason.get('column') or ''}".strip() for reason in run.summary["reasons"]
                    )
            engine.dispose()
        found.update(verdicts)
        found["months"] += 1
        found["months with an alarm"] += "drifted" in verdicts
        found["retrainings"] += desk.asked["retrainings"]
        print(f"{use_case} month {seed}: {dict(Counter(verdicts))} {dict(reasons)}", file=sys.stderr, flush=True)
    return {**found, "reasons": dict(reasons)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("use_cases", nargs="*", default=[])
    parser.add_argument("--months", type=int, default=3)
    parser.add_argument("--home", type=Path, default=None, help="Keeps trained models for the next time.")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print("| use case | months | looks | watch | drifted | months with an alarm | retrainings |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="vigie-false-alarms-") as made:
        home = chosen.home or Path(made)
        for use_case in chosen.use_cases or declared.names():
            trained(home, use_case)
            found = measure(home, use_case, chosen.months)
            looks = sum(found.get(verdict, 0) for verdict in ("stable", "watch", "drifted", "too_few"))
            print(
                f"| {use_case} | {found['months']} | {looks} | {found.get('watch', 0)} | {found.get('drifted', 0)} | "
                f"{found['months with an alarm']} | {found['retrainings']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
