"""What a registered version's MLflow run holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from services.core.bundle.manifest import Manifest, bundle_hash
from services.core.registry.version import Tag

_LONGEST_PARAMETER = 500
_METRICS_TAG_LIMIT = 4_500
"""MLflow refuses tags of a model version above 5,000 characters."""


def parameters(manifest: Manifest, lock: Path) -> dict[str, str]:
    """Parameters of the stages as the lock file states them, and what the bundle was made with."""
    found: dict[str, str] = {}
    if lock.is_file():
        stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
        for stage, content in stages.items():
            if stage.rpartition("@")[2] == manifest.use_case:
                for values in (content.get("params") or {}).values():
                    found |= _flat(values)
    found |= {f"data.{key}": str(value) for key, value in manifest.data.items()}
    found |= {f"versions.{key}": value for key, value in manifest.versions.items()}
    return {_name(key): value[:_LONGEST_PARAMETER] for key, value in found.items()}


def numbers(evaluation: Mapping[str, Any], subgroups: Mapping[str, Any]) -> dict[str, float]:
    """Metrics per target and variant, the baseline's, and those of each subgroup, flat."""
    found: dict[str, float] = {}
    for part in ("metrics", "baseline"):
        for target, values in evaluation.get(part, {}).items():
            prefix = "" if part == "metrics" else "baseline/"
            found |= {f"{prefix}{target}/{metric}": value for metric, value in values.items()}
    for column, groups in subgroups.items():
        for group, targets in groups.items():
            for target, values in targets.items():
                found |= {f"{column}/{group}/{target}/{metric}": value for metric, value in values.items()}
    return {_name(key): float(value) for key, value in found.items()}


def version_tags(manifest: Manifest, evaluation: Mapping[str, Any]) -> dict[str, str]:
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
        Tag.METRICS: text if len(text) <= _METRICS_TAG_LIMIT else "{}",
    }


def _flat(values: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(values, Mapping):
        return {k: v for key, inner in values.items() for k, v in _flat(inner, f"{prefix}{key}.").items()}
    return {prefix.rstrip("."): str(values)}


def _name(text: str) -> str:
    """MLflow's names: letters, digits and _ - . / space, at most 250 of them."""
    return re.sub(r"[^\w\-./ ]", "_", text, flags=re.ASCII)[:250]
