"""One run in MLflow: what the pipeline made, measured and was made from, whole or marked as failed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.core.registry import run_record
from services.core.registry.version import Tag

_METRICS_AT_ONCE, _PARAMS_AT_ONCE = 1_000, 100
"""MLflow's limits of one request."""
EVALUATION, BUNDLE = "evaluation", "bundle"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    id: str
    source: str
    """Where its bundle lies."""
    tags: dict[str, str]
    """For the version that is made of it."""


def recorded(
    client: Any, use_case: str, manifest: Any, models: Path, lock: Path, *, location: str | None
) -> RecordedRun:
    """Record what lies in ``models`` (``bundle``, ``evaluation``) and the ``lock`` file. ``location``: where a new
    experiment keeps its files; None leaves that to the server."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415

    evaluation = _json(models / EVALUATION / "metrics.json")
    tags = run_record.version_tags(manifest, evaluation)
    stamp = int(datetime.now(UTC).timestamp() * 1_000)
    numbers = run_record.numbers(evaluation, _json(models / EVALUATION / "subgroups.json"))
    run = client.create_run(_experiment(client, use_case, location), run_name=f"{use_case} {tags[Tag.BUNDLE_HASH][:8]}")
    run_id = run.info.run_id
    try:
        everything = [Metric(key, value, stamp, 0) for key, value in numbers.items()]
        for start in range(0, len(everything), _METRICS_AT_ONCE):
            client.log_batch(run_id, metrics=everything[start : start + _METRICS_AT_ONCE])
        params = [Param(key, value) for key, value in run_record.parameters(manifest, lock).items()]
        for start in range(0, len(params), _PARAMS_AT_ONCE):
            client.log_batch(run_id, params=params[start : start + _PARAMS_AT_ONCE])
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items() if key != Tag.METRICS])
        client.log_artifacts(run_id, str(models / BUNDLE), BUNDLE)
        if (models / EVALUATION).is_dir():
            client.log_artifacts(run_id, str(models / EVALUATION), EVALUATION)
        if lock.is_file():
            client.log_artifact(run_id, str(lock))
    except BaseException:
        with suppress(Exception):  # what stopped the run is what has to be heard
            client.set_terminated(run_id, status="FAILED")
        raise
    client.set_terminated(run_id)
    return RecordedRun(run_id, f"{run.info.artifact_uri}/{BUNDLE}", tags)


def _experiment(client: Any, use_case: str, location: str | None) -> str:
    found = client.get_experiment_by_name(use_case)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(use_case, artifact_location=location))


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content
