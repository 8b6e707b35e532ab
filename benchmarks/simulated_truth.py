"""Whether simulated calls are as hard as test rows: ``.venv/bin/python -m benchmarks.simulated_truth``.

Draws calls as the simulator does, from worlds that nobody learned from, has the champions of this ``VIGIE_HOME``
(trained on simulated data) answer them with the prediction service's code, and prints the live error as the simulator
tells it beside the metrics on the champion's own test rows. Then the same for scenarios in which the world changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from services.core import use_case_registry
from services.core.settings import settings
from services.prediction.model_sync.mlflow_registry import offline_prediction_service
from services.simulator import scenario
from services.simulator.datasets import SimulatedDataset, build_pools
from services.simulator.scenario import UseCaseScenario
from services.simulator.stats import LIVE_METRICS, LiveErrorStats

CALLS = 2_000
WEEK = timedelta(days=7)
BEGIN = datetime(2026, 11, 9, tzinfo=UTC)


def main() -> None:
    for name in use_case_registry.names():
        print(f"{name}: {_told(_live(name, (), UseCaseScenario()))}; on its test rows {_tested(name)}", flush=True)
    for chosen in map(scenario.load_scenario, scenario.list_scenarios()):
        for name, played in chosen.use_cases.items():
            if played.change is not None:
                before, after = (_told(_live(name, drift, played)) for drift in ((), played.change.drift))
                print(f"{chosen.name}, {name}: {before}; in the changed world {after}", flush=True)


def _live(name: str, drift: tuple[str, ...], played: UseCaseScenario) -> dict[str, dict[str, Any]]:
    use_case = use_case_registry.get(name)
    answering = offline_prediction_service(settings().home, use_case)
    pool = build_pools({name: SimulatedDataset(name, drift, 3_000, 99, BEGIN, WEEK)})[name]
    chance = np.random.default_rng(5)
    live = LiveErrorStats(use_case)
    for _ in range(CALLS):
        example = pool.draw(chance, BEGIN + WEEK * chance.random())
        request = {field: value for field, value in example.request.items() if field not in played.left_out}
        predictions = json.loads(answering.one(request, "benchmark"))["predictions"]
        live.add(predictions, example.labels)
    return live.summary()


def _told(live: dict[str, dict[str, Any]]) -> str:
    return ", ".join(f"{target} {told['metric']} {told['value']:.3g}" for target, told in live.items())


def _tested(name: str) -> str:
    report = json.loads((settings().home.models(name) / "evaluation" / "metrics.json").read_text())
    told = []
    for target in use_case_registry.get(name).modelling.targets:
        metric = LIVE_METRICS[type(target.output)]
        if metric in report["metrics"].get(target.name, {}):
            told.append(f"{target.name} {metric} {report['metrics'][target.name][metric]:.3g}")
    return ", ".join(told) + f" ({report['rows']} rows)"


if __name__ == "__main__":
    main()
