"""What the ingestion service's jobs do: the same as ``./vigie ingest`` and ``./vigie data gc``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.core.calls.retention import enforce_retention
from services.core.calls.settings import calls_settings
from services.core.errors import VigieError
from services.core.home import Home
from services.core.jobs.child import Task, Work
from services.core.jobs.options import HousekeepingOptions, IngestOptions
from services.core.pipeline.run import run_stages
from services.core.settings import CHECKOUT
from services.ingestion.acquire import Acquired, acquire
from services.ingestion.housekeeping import housekeeping
from services.ingestion.settings import IngestionSettings

WORDS = ("auto", "official", "simulator")
EMPTY: Mapping[str, Any] = {"tables": {}, "quarantined": 0, "simulated": False}


def ingest(task: Task) -> Mapping[str, Any]:
    """Acquire raw files, validate them and publish the tables. ``changed`` says whether these differ from
    those that were published before."""
    options: IngestOptions = task.options
    source = allowed_source(options.source, task.home, IngestionSettings())
    acquired: list[Acquired] = []

    def prepare(workspace: Path) -> None:
        landing = workspace / "data" / task.use_case / "landing"
        found = acquire(task.use_case, source, landing, home=task.home, root=CHECKOUT, fresh=options.fresh)
        acquired.append(found)
        kind = "simulated" if found.simulated else "real"
        task.progress(f"files from {found.source} ({kind}): {len(found.added)} new, {len(found.known)} known")

    before, old_state = _manifest(task.home, task.use_case), _state(task.home, task.use_case)
    state = run_stages(task.home, task.use_case, "ingest", prepare=prepare, progress=task.progress, said=task.log)
    manifest = _manifest(task.home, task.use_case)
    return {
        "source": acquired[0].source,
        "simulated": manifest["simulated"],
        "changed": manifest["tables"] != before["tables"],
        "state": state.name,
        "new_state": state.name != old_state,
        "files": {
            "new": len(acquired[0].added),
            "known": len(acquired[0].known),
            "left_alone": len(acquired[0].ignored),
            "simulated_dropped": len(acquired[0].dropped),
        },
        "rows": {name: table["rows"] for name, table in manifest["tables"].items()},
        "rows_quarantined": manifest["quarantined"],
    }


def keep_house(task: Task) -> Mapping[str, Any]:
    options: HousekeepingOptions = task.options
    found = housekeeping(task.home, keep_days=options.keep_days, dry_run=options.dry_run, progress=task.progress)
    calls = enforce_retention(calls_settings(), dry_run=options.dry_run)
    for use_case, erased in calls.items():
        task.progress(f"calls of {use_case}: {erased} {'would go' if options.dry_run else 'removed'}")
    return {**found, "calls": {use_case: asdict(erased) for use_case, erased in calls.items()}}


JOBS: Mapping[str, Work] = {"ingest": ingest, "housekeeping": keep_house}


def allowed_source(source: str, home: Home, settings: IngestionSettings) -> str:
    """The source, if it is one of the words or a folder that jobs may read.

    Raises:
        VigieError: it is another folder; who may start a job may not have any file of the machine read.
    """
    if source in WORDS:
        return source
    named = [Path(folder.strip()) for folder in settings.ingestion_folders.split(",") if folder.strip()]
    roots = [folder.expanduser().resolve() for folder in (home.root / "drop", *named)]
    path = Path(source).expanduser().resolve()
    if not any(path == root or root in path.parents for root in roots):
        raise VigieError(
            "The source is a folder that jobs may not read.",
            expected=", ".join(WORDS) + ", or a folder below " + " or ".join(map(str, roots)),
            action="Put the files into the drop folder, or name the folder in VIGIE_INGESTION_FOLDERS.",
        )
    return str(path)


def _manifest(home: Home, use_case: str) -> dict[str, Any]:
    path = home.data(use_case) / "raw" / "manifest.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else dict(EMPTY)
    return found


def _state(home: Home, use_case: str) -> str:
    link = home.current(use_case)
    return link.resolve().name if link.exists() else ""
