"""How often monitoring cries wolf: ``python -m benchmarks.false_alarms [use case ...] --months 3``.

For each use case a model is trained on simulated data. Then unchanged simulated months are played, each from a seed of
its own: calls and outcomes go straight into a database, as prediction would have stored them, and monitoring looks once
a day with the limits of ``params.yaml``. Whatever it finds is a false alarm.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import structlog

from services.core import params
from services.core import use_case_registry as declared
from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.model_registry.client import ModelRegistry
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT, settings
from services.drift.jobs import Monitor, retraining_limits
from tests.closed_loop.stored_month import StoredMonth, after_training, month

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


def measure(home: Path, use_case: str, seeds: range) -> dict[str, Any]:
    found: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    chosen = params.load_params(CHECKOUT).monitoring
    os.environ["VIGIE_HOME"] = str(home)
    settings.cache_clear()
    registry = ModelRegistry.open(VigiePaths(home))
    version = registry.versions(use_case)[0].number
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="vigie-false-alarms-") as folder:
            engine = make_engine(f"sqlite:///{folder}/vigie.db")
            upgrade(engine)
            desk = NoDesk()
            monitor = Monitor(VigiePaths(home), engine, registry, chosen, desk, retraining_limits(chosen))
            verdicts = []
            plan = month(use_case, calls_a_day=CALLS_A_DAY, seed=seed, starts=after_training(home, use_case))
            for _ in StoredMonth(engine, plan, version).days():
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
    parser.add_argument("--first-seed", type=int, default=1, help="Of the first month; the others follow.")
    parser.add_argument("--home", type=Path, default=None, help="Keeps trained models for the next time.")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print("| use case | months | looks | watch | drifted | months with an alarm | retrainings |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="vigie-false-alarms-") as made:
        home = chosen.home or Path(made)
        for use_case in chosen.use_cases or declared.names():
            trained(home, use_case)
            found = measure(home, use_case, range(chosen.first_seed, chosen.first_seed + chosen.months))
            looks = sum(found.get(verdict, 0) for verdict in ("stable", "watch", "drifted", "too_few"))
            print(
                f"| {use_case} | {found['months']} | {looks} | {found.get('watch', 0)} | {found.get('drifted', 0)} | "
                f"{found['months with an alarm']} | {found['retrainings']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
