"""What the preprocessing service's jobs do: the same as ``./vigie preprocess``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.core.calls.training_rows import export_outcomes
from services.core.jobs.child import Task, Work
from services.core.pipeline.run import run_stages


def preprocess(task: Task) -> Mapping[str, Any]:
    def prepare(workspace: Path) -> None:
        task.progress(str(export_outcomes(task.use_case, workspace)))

    state = run_stages(task.home, task.use_case, "preprocess", prepare=prepare, progress=task.progress, said=task.log)
    path = state / "data" / task.use_case / "examples" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return {
        "state": state.name,
        "simulated": manifest["simulated"],
        "rows": manifest["rows"],
        "origins": manifest["origins"],
        "span": manifest["span"],
        "labelled": manifest["labelled"],
    }


JOBS: Mapping[str, Work] = {"preprocess": preprocess}
