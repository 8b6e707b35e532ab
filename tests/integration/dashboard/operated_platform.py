"""The local platform with what operators look at: real stage services, a registry with three judged versions, data with
a quarantine, results of monitoring.

By hand: ``PYTHONPATH=. python -m tests.integration.dashboard.operated_platform FOLDER`` runs until Ctrl-C; what was
trained for FOLDER is used again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.orm import Session

from services.core import use_case_registry as declared
from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.model_registry.client import ModelRegistry
from services.core.monitoring.drift_state import MonitoringRunRow
from services.core.params import Evaluate, Gate, Ingest, Preprocess, Simulate, Train
from services.core.paths import VigiePaths
from services.core.pipeline.workspace import set_current
from services.core.settings import Settings
from services.ingestion.stage.ingest import ingest, simulate_files
from services.preprocessing.stage.preprocess import preprocess
from services.training.evaluation.evaluate import evaluate
from services.training.promotion import gate_and_register
from services.training.stage.train import train
from services.training.stage.workspace import Workspace, read_inputs
from tests.gateways import PASSWORD, SERVICE_TOKEN
from tests.integration.dashboard.local_platform import (
    CHECKOUT,
    NAMES,
    Platform,
    _quicker,
    _wait,
    free_port,
    local_platform,
)

USE_CASE = "fire_response"
OTHER = "wine_quality"
"""Has neither data nor a model: what pages show then, and what a first run is started for."""
SEEDS = (5, 6, 7)
STAGES = ("ingestion", "preprocessing", "training", "drift")
LOCK = (
    "schema: '2.0'\nstages:\n  train@{name}:\n    cmd: x\n"
    "    params:\n      params.yaml:\n        train: {{seed: {seed}}}\n"
)


@contextmanager
def operated_platform(home: Path, *, bundles: Path, dashboard: bool = True) -> Iterator[Platform]:
    """``bundles``: where what was trained is kept for the next time."""
    home.mkdir(parents=True, exist_ok=True)
    database = f"sqlite:///{home / 'vigie.db'}"
    engine = make_engine(database)
    upgrade(engine)
    fill_registry(home, bundles)
    write_monitoring(engine, VigiePaths(home))
    engine.dispose()
    with ExitStack() as stack:
        urls = {part: stack.enter_context(_stage(part, home, database)) for part in STAGES}
        settings: dict[str, Any] = {f"{part}_url": url for part, url in urls.items()}
        settings["gateway_monitor_hours"] = 0  # the results that were written stay the newest
        started = local_platform(home, [USE_CASE], bundles=bundles, dashboard=dashboard, **settings)
        yield stack.enter_context(started)


def fill_registry(home: Path, kept: Path) -> None:
    """Three versions: the first champion, a second that the gate judged, and the newest of other data."""
    settings = Settings().model_copy(update={"home_path": home, "registry_url": None})
    registry = ModelRegistry(settings, patience=30)
    place = VigiePaths(home)
    for seed in SEEDS:
        state = place.states(USE_CASE) / f"state-{seed}"
        shutil.copytree(_state(seed, kept), state)
        set_current(place, USE_CASE, state)
        version, _ = gate_and_register(place, USE_CASE, gate=Gate(bootstrap=200, minimum_rows=50), registry=registry)
        if version.number < SEEDS[-1] - SEEDS[0] + 1:
            registry.promote(USE_CASE, version.number)


def _state(seed: int, kept: Path) -> Path:
    """Data, a small model and its evaluation, as a run publishes them."""
    root = kept / f"state-{USE_CASE}-{seed}"
    if (root / "dvc.lock").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    use_case = _quicker(declared.get(USE_CASE))
    landing = root / "data" / USE_CASE / "landing"
    landing.mkdir(parents=True)
    days = Simulate(seed=seed, rows=2_000 + 500 * (seed - SEEDS[0]), start="2024-01-01", days=150)
    for file in simulate_files(use_case, days, landing):
        _spoil(file.path)
    ingest(USE_CASE, root, Ingest(simulate=days, max_bad_share=0.2))
    preprocess(USE_CASE, root, Preprocess())
    workspace = Workspace(root, USE_CASE)
    inputs = read_inputs(workspace)
    train(
        use_case,
        inputs.examples,
        inputs.reference,
        inputs.context,
        params=Train(folds=2, minimum_group=30, seed=seed),
        folder=workspace.bundle,
        simulated=True,
    )
    evaluate(
        use_case,
        inputs.examples,
        inputs.context,
        bundle=workspace.bundle,
        params=Evaluate(subgroup_rows=30),
        folder=workspace.evaluation,
    )
    (root / "dvc.lock").write_text(LOCK.format(name=USE_CASE, seed=seed))
    return root


def _spoil(path: Path) -> None:
    """Some rows that ingestion has to refuse: the first fields of a few lines hold what nobody expects there."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 500:
        return
    for at in range(10, 22):
        fields = lines[at].split(",")
        lines[at] = ",".join(["spoilt" if number in {1, 2} else field for number, field in enumerate(fields)])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def _stage(part: str, home: Path, database: str) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "VIGIE_HOME": str(home),
        "VIGIE_DATABASE_URL": database,
        "VIGIE_SERVICE_TOKEN": SERVICE_TOKEN,
        f"VIGIE_{part.upper()}_PORT": str(port),
    }
    with (home / f"{part}.log").open("ab") as out:
        command = [sys.executable, "-m", f"services.{part}"]
        process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=out, stderr=out)
        try:
            _wait(lambda: httpx.get(f"{url}/health/ready", timeout=10).status_code == 200, f"{part}; see its log")
            yield url
        finally:
            process.terminate()
            process.wait(60)


# --- monitoring -------------------------------------------------------------------------------------


def write_monitoring(engine: Any, home: VigiePaths) -> None:
    """A fortnight of results, one a day; the newest has drifted and has a report."""
    now = datetime.now(UTC).replace(microsecond=0)
    with Session(engine) as session, session.begin():
        for back in range(14, -1, -1):
            at = now - timedelta(days=back, minutes=5)
            run = _run(at, back)
            session.add(run)
    report = home.root / "monitoring" / "reports" / USE_CASE / f"{0:032x}.html"
    report.parent.mkdir(parents=True)
    report.write_text("<!doctype html><html lang=en><title>r</title><h1>Evidently</h1><p>Drift in 3 of 9 columns</p>")


def _run(at: datetime, back: int) -> MonitoringRunRow:
    run_id, drifted = f"{back:032x}", back < 3
    share = 0.33 if drifted else 0.0 + (back % 3) * 0.05
    error = 62.0 + (9.0 if drifted else back % 4)
    reasons = (
        [
            {
                "code": "inputs_drifted",
                "en": "Calls come from other stations than before.",
                "fr": "Les appels viennent d'autres casernes qu'avant.",
                "column": "deployed_from_station",
                "value": 0.41,
                "since": (at - timedelta(days=2)).isoformat(),
            }
        ]
        if drifted
        else []
    )
    summary = {
        "id": run_id,
        "use_case": USE_CASE,
        "started_at": at.isoformat(),
        "finished_at": (at + timedelta(seconds=40)).isoformat(),
        "window": {
            "from": (at - timedelta(days=7)).isoformat(),
            "to": at.isoformat(),
            "calls": 2_140,
            "outcomes": 1_702,
        },
        "model_version": "2",
        "verdict": "drifted" if drifted else "stable",
        "reasons": reasons,
        "action": {
            "kind": "retraining" if back == 0 else "none",
            "en": "A retraining was started." if back == 0 else "",
            "fr": "Un réentraînement a été lancé." if back == 0 else "",
        },
        "drift": {"share": share, "columns": [_column(name, drifted) for name in COLUMNS]},
        "quality": _quality(error, breached=drifted),
        "estimate": {"targets": [_estimate()]},
        "shadow": {},
    }
    return MonitoringRunRow(
        id=run_id,
        use_case=USE_CASE,
        started_at=at,
        finished_at=at + timedelta(seconds=40),
        window_to=at,
        outcomes_until=at,
        model_version="2",
        verdict=str(summary["verdict"]),
        breached=drifted,
        inputs_drifted=drifted,
        action=str(summary["action"]["kind"]),  # type: ignore[index]
        report=back == 0,
        summary=summary,
    )


COLUMNS = ("call_time", "incident_group", "deployed_from_station", "borough", "easting", "prediction.over_360s")


def _column(name: str, drifted: bool) -> dict[str, Any]:
    far = drifted and name in {"deployed_from_station", "prediction.over_360s"}
    return {
        "name": name,
        "kind": "category",
        "measure": "jensenshannon",
        "value": 0.41 if far else 0.04,
        "threshold": 0.15,
        "drifted": far,
        "missing_reference": 0.02,
        "missing_current": 0.05,
    }


def _quality(error: float, *, breached: bool) -> list[dict[str, Any]]:
    entry = {
        "target": "attendance_seconds",
        "metric": "mae",
        "version": "2",
        "value": error,
        "low": error - 4,
        "high": error + 4,
        "count": 1_702,
        "reference": 61.0,
        "breached": breached,
    }
    chance = {"target": "over_360s", "metric": "brier", "value": 0.181, "low": 0.17, "high": 0.192, "reference": 0.178}
    by_area = [entry | {"area": area, "count": 400, "breached": False} for area in ("Inner London", "Outer London")]
    by_hour = [entry | {"hour": hour, "count": 70, "breached": False} for hour in range(0, 24, 6)]
    return [entry, entry | chance | {"breached": False}, *by_area, *by_hour]


def _estimate() -> dict[str, Any]:
    checked = {"estimate": 64.2, "truth": 66.0, "count": 1_702}
    return {"target": "attendance_seconds", "metric": "mae", "value": 66.3, "count": 438, "checked": checked}


def _main(folder: Path) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # and all that was started ends with it
    with operated_platform(folder / f"home-{os.getpid()}", bundles=folder / "bundles") as platform:
        told = f"{platform.dashboard}\n{platform.gateway}\n{', '.join(NAMES.values())}\n{PASSWORD}\n"
        (folder / "addresses").write_text(told)
        print(told, flush=True)  # noqa: T201 - for the person who started it
        while True:
            time.sleep(1)


if __name__ == "__main__":
    _main(Path(sys.argv[1]).resolve())
