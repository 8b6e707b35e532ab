"""All that the registry knows of one version, for the people who decide about it."""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.core.bundle.manifest import Manifest
from services.core.errors import NotFoundError
from services.core.registry.client import LOCK
from services.core.registry.recording import EVALUATION
from services.core.registry.run_record import parameters
from services.core.registry.version import Version
from services.core.settings import Settings
from services.gateway.artifacts import Artifacts
from services.gateway.models import described, versions_of
from services.gateway.reading_schemas import ModelVersion

PLOT = re.compile(r"[A-Za-z0-9_]+(-[a-z]+)*\.png")
_PART = re.compile(r"data\.|versions\.")


def version_of(settings: Settings, use_case: str, number: int) -> Version:
    """
    Raises:
        NotFoundError: there is no such version.
        UnavailableError: the registry does not answer.
    """
    for version in versions_of(settings, use_case):
        if version.number == number:
            return version
    raise NotFoundError(f"{use_case} has no version {number}.", action=f"GET /admin/models/{use_case} lists them.")


def detailed(settings: Settings, version: Version) -> ModelVersion:
    """Metrics, the gate's decision, parameters and data. What a version lacks is empty: it may have been registered
    by hand, or by an older release.

    Raises:
        UnavailableError: the registry does not answer.
    """
    files = Artifacts(settings, version)
    report = files.json(f"{EVALUATION}/metrics.json") or {}
    manifest = _manifest(files)
    made_with = {} if manifest is None else _parameters(files, manifest)
    return ModelVersion(
        use_case=version.use_case,
        version=described(version),
        rows=report.get("rows"),
        metrics=report.get("metrics") or version.metrics,
        baseline=report.get("baseline") or {},
        importance=report.get("importance") or {},
        omitted=report.get("omitted") or {},
        subgroups=files.json(f"{EVALUATION}/subgroups.json") or {},
        gate=files.json("gate.json"),
        parameters={name: value for name, value in made_with.items() if not _PART.match(name)},
        data={} if manifest is None else dict(manifest.data),
        versions={} if manifest is None else dict(manifest.versions),
        plots=[name for name in files.names(f"{EVALUATION}/plots") if PLOT.fullmatch(name)],
    )


def card_of(settings: Settings, version: Version) -> str:
    """The model card, as Markdown.

    Raises:
        NotFoundError: it has none.
    """
    return Artifacts(settings, version).content(f"{EVALUATION}/model_card.md").decode("utf-8")


def plot_of(settings: Settings, version: Version, name: str) -> bytes:
    """A plot, as PNG.

    Raises:
        NotFoundError: there is none of this name.
    """
    if not PLOT.fullmatch(name):
        raise NotFoundError("There is no such plot.", action="The version's entry lists its plots.")
    return Artifacts(settings, version).content(f"{EVALUATION}/plots/{name}")


def _manifest(files: Artifacts) -> Manifest | None:
    try:
        return Manifest.model_validate(files.json("bundle/bundle.json"))
    except ValidationError:
        return None


def _parameters(files: Artifacts, manifest: Manifest) -> dict[str, Any]:
    """As they stand in the version's run: those of the stages, by the lock file of the run."""
    with tempfile.TemporaryDirectory(prefix="vigie-lock-") as folder:
        lock = Path(folder) / LOCK
        with suppress(NotFoundError):  # made without DVC
            lock.write_bytes(files.content(LOCK))
        return dict(parameters(manifest, lock))
