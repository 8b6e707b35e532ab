"""What the preprocessing service's jobs do: the same as ``./vigie preprocess``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from services.core.jobs.child import Task, Work
from services.core.pipeline.run import run_stages


def preprocess(task: Task) -> Mapping[str, Any]:
    state = run_stages(task.home, task.use_case, "preprocess", progress=task.progress, said=task.log)
    path = state / "data" / task.use_case / "examples" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return {
        "state": state.name,
        "simulated": manifest["simulated"],
        "rows": manifest["rows"],
        "span": manifest["span"],
        "labelled": manifest["labelled"],
    }


JOBS: Mapping[str, Work] = {"preprocess": preprocess}
