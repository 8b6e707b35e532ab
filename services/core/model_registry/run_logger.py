"""Logs a pipeline run to MLflow: parameters, metrics, tags, bundle and evaluation, complete or marked as failed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from services.core.bundle.manifest import BundleManifest, bundle_hash
from services.core.model_registry.version import Tag

_MAX_PARAM_LENGTH = 500
_MAX_METRICS_TAG_LENGTH = 4_500
"""MLflow rejects model version tags above 5,000 characters."""


def run_params(manifest: BundleManifest, lock: Path) -> dict[str, str]:
    """Return the stages' parameters from the lock file, and the bundle's."""
    found: dict[str, str] = {}
    if lock.is_file():
        stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
        for stage, content in stages.items():
            if stage.rpartition("@")[2] == manifest.use_case:
                for values in (content.get("params") or {}).values():
                    found |= _flatten(values)
    found |= {f"data.{key}": str(value) for key, value in manifest.data.items()}
    found |= {f"versions.{key}": value for key, value in manifest.versions.items()}
    return {_mlflow_key(key): value[:_MAX_PARAM_LENGTH] for key, value in found.items()}


def run_metrics(evaluation: Mapping[str, Any], subgroups: Mapping[str, Any]) -> dict[str, float]:
    """Return flat metrics: per target and variant, of the baseline, and of each subgroup."""
    found: dict[str, float] = {}
    for part in ("metrics", "baseline"):
        for target, values in evaluation.get(part, {}).items():
            prefix = "" if part == "metrics" else "baseline/"
            found |= {f"{prefix}{target}/{metric}": value for metric, value in values.items()}
    for column, groups in subgroups.items():
        for group, targets in groups.items():
            for target, values in targets.items():
                found |= {f"{column}/{group}/{target}/{metric}": value for metric, value in values.items()}
    return {_mlflow_key(key): float(value) for key, value in found.items()}


def version_tags(manifest: BundleManifest, evaluation: Mapping[str, Any]) -> dict[str, str]:
    metrics = {
        target: {metric: round(value, 6) for metric, value in values.items()}
        for target, values in evaluation.get("metrics", {}).items()
    }
    text = json.dumps(metrics, separators=(",", ":"))
    return {
        Tag.BUNDLE_HASH: bundle_hash(manifest),
        Tag.CREATED: manifest.created,
        Tag.SIMULATED: "yes" if manifest.simulated else "no",
        Tag.CODE: manifest.versions.get("code", ""),
        Tag.METRICS: text if len(text) <= _MAX_METRICS_TAG_LENGTH else "{}",
    }


def _flatten(values: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(values, Mapping):
        return {k: v for key, inner in values.items() for k, v in _flatten(inner, f"{prefix}{key}.").items()}
    return {prefix.rstrip("."): str(values)}


def _mlflow_key(text: str) -> str:
    """Convert to MLflow's allowed names: letters, digits and _ - . / space, at most 250 of them."""
    return re.sub(r"[^\w\-./ ]", "_", text, flags=re.ASCII)[:250]


_METRICS_PER_REQUEST, _PARAMS_PER_REQUEST = 1_000, 100
"""MLflow's limits per request."""
EVALUATION, BUNDLE = "evaluation", "bundle"


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """A run in MLflow, ready to be registered as a version."""

    id: str
    source: str
    """Location of its bundle."""
    tags: dict[str, str]
    """Tags of the version to be registered from it."""


def log_run(client: Any, use_case: str, manifest: Any, models: Path, lock: Path, *, location: str | None) -> LoggedRun:
    """Log ``models`` (``bundle``, ``evaluation``) and the ``lock`` file to MLflow. ``location``: artifact root of a new
    experiment; None: chosen by the server."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415

    evaluation = _read_json(models / EVALUATION / "metrics.json")
    tags = version_tags(manifest, evaluation)
    stamp = int(datetime.now(UTC).timestamp() * 1_000)
    numbers = run_metrics(evaluation, _read_json(models / EVALUATION / "subgroups.json"))
    run = client.create_run(_experiment(client, use_case, location), run_name=f"{use_case} {tags[Tag.BUNDLE_HASH][:8]}")
    run_id = run.info.run_id
    try:
        everything = [Metric(key, value, stamp, 0) for key, value in numbers.items()]
        for start in range(0, len(everything), _METRICS_PER_REQUEST):
            client.log_batch(run_id, metrics=everything[start : start + _METRICS_PER_REQUEST])
        params = [Param(key, value) for key, value in run_params(manifest, lock).items()]
        for start in range(0, len(params), _PARAMS_PER_REQUEST):
            client.log_batch(run_id, params=params[start : start + _PARAMS_PER_REQUEST])
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items() if key != Tag.METRICS])
        client.log_artifacts(run_id, str(models / BUNDLE), BUNDLE)
        if (models / EVALUATION).is_dir():
            client.log_artifacts(run_id, str(models / EVALUATION), EVALUATION)
        if lock.is_file():
            client.log_artifact(run_id, str(lock))
    except BaseException:
        with suppress(Exception):  # do not mask the error that interrupted the run
            client.set_terminated(run_id, status="FAILED")
        raise
    client.set_terminated(run_id)
    return LoggedRun(run_id, f"{run.info.artifact_uri}/{BUNDLE}", tags)


def _experiment(client: Any, use_case: str, location: str | None) -> str:
    found = client.get_experiment_by_name(use_case)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(use_case, artifact_location=location))


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content
