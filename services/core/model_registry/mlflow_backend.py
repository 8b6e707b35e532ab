"""MLflow as the registry's backend: connection, errors, and runs to register.

MLflow is imported when a client is created: it takes seconds, and most processes and commands only read."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import structlog
import yaml

from services.core.bundle.manifest import BundleManifest, bundle_hash, read_manifest
from services.core.errors import VigieError
from services.core.model_registry.version import RegisteredVersion, Tag
from services.core.paths import VigiePaths
from services.core.settings import no_proxy_environment

_QUIET_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


BUSY_SECONDS = 30.0
BELOW_SOME_HOME = re.compile(r"/registry/artifacts/(.+)\Z", re.DOTALL)


def embedded_uri(home: VigiePaths) -> str:
    return f"sqlite:///{home.registry_database}"


def connect(uri: str, home: VigiePaths, patience: float, prepare: Callable[[VigiePaths], None]) -> Any:
    """Create an MLflow client. Requests time out after ``patience`` seconds and are retried once; MLflow's defaults
    wait for minutes. ``prepare`` sees to an embedded database before it is opened. MLflow reads the user from
    ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``."""
    limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(patience)))}
    os.environ.update(_QUIET_VARIABLES | no_proxy_environment(uri) | limits)
    from mlflow import MlflowClient  # noqa: PLC0415

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    home.registry_artifacts.mkdir(parents=True, exist_ok=True)
    with translate_errors(uri):
        if uri == embedded_uri(home):
            prepare(home)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def redact(text: object, uri: str) -> str:
    """Return the first line of an error, or of the registry's URL itself, without credentials from that URL."""
    return (str(text).splitlines() or [type(text).__name__])[0].replace(uri, re.sub("://.*@", "://", uri))[:300]


@contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Translate MLflow's errors into ours."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        yield
    except MlflowException as error:
        raise VigieError(
            f"The model registry {redact(uri, uri)} did not do what was asked: {redact(error, uri)}",
            action=_suggest_action(str(error)),
        ) from None  # MLflow's message contains the URL with the password


def _suggest_action(words: str) -> str:
    if "error code 401" in words:
        return "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user of the registry."
    if "error code 403" in words:
        return "This takes another user (MLFLOW_TRACKING_USERNAME): writer registers and promotes, reader reads."
    return "See that it runs (./vigie status) and that VIGIE_REGISTRY_URL is its address."


def is_not_found(error: Exception) -> bool:
    """Whether a model, version or alias does not exist; a missing alias is an INVALID_PARAMETER_VALUE to MLflow."""
    code = getattr(error, "error_code", "")
    return code == "RESOURCE_DOES_NOT_EXIST" or (code == "INVALID_PARAMETER_VALUE" and "alias" in str(error))


_MAX_PARAM_LENGTH, _MAX_METRICS_TAG_LENGTH = 500, 4_500
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


def register_run(client: Any, use_case: str, models: Path, lock: Path, *, location: str | None) -> RegisteredVersion:
    """Log ``models`` (``bundle``, ``evaluation``) and the ``lock`` file as a run, and register its bundle. That comes
    last: an interrupted run leaves no version. ``location``: artifact root of a new experiment; None: the server's."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    evaluation, manifest = _read_json(models / EVALUATION / "metrics.json"), read_manifest(models / BUNDLE)
    numbers = run_metrics(evaluation, _read_json(models / EVALUATION / "subgroups.json"))
    now = int(datetime.now(UTC).timestamp() * 1_000)
    metrics = [Metric(key, value, now, 0) for key, value in numbers.items()]
    params = [Param(key, value) for key, value in run_params(manifest, lock).items()]
    tags = version_tags(manifest, evaluation)
    experiment = client.get_experiment_by_name(use_case)
    number = experiment.experiment_id if experiment else client.create_experiment(use_case, artifact_location=location)
    if experiment is not None and experiment.lifecycle_stage == "deleted":
        structlog.get_logger().warning("an experiment that was deleted in MLflow is brought back", use_case=use_case)
        client.restore_experiment(number)
    run = client.create_run(number, run_name=f"{use_case} {tags[Tag.BUNDLE_HASH][:8]}")
    run_id = run.info.run_id
    try:
        for start in range(0, len(metrics), _METRICS_PER_REQUEST):
            client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_REQUEST])
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
    try:
        client.create_registered_model(use_case)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    bundle = f"{run.info.artifact_uri}/{BUNDLE}"
    return from_mlflow(client.create_model_version(use_case, source=bundle, run_id=run_id, tags=tags))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def download_artifact(client: Any, run_id: str, name: str, folder: Path) -> Path:
    """Download an artifact of a run; raises OSError if the registry does not provide it."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        return Path(client.download_artifacts(run_id, name, folder))
    except MlflowException as error:
        raise OSError(str(error)) from None


def from_mlflow(found: Any) -> RegisteredVersion:
    """Convert MLflow's ``ModelVersionDetails``. A version without Vigie's tags was registered by other means: its hash
    is empty, which matches no bundle."""
    tags = {str(key): str(value) for key, value in (found.tags or {}).items()}
    return RegisteredVersion(
        use_case=found.name,
        number=int(found.version),
        bundle_hash=tags.get(Tag.BUNDLE_HASH, ""),
        created=tags.get(Tag.CREATED, ""),
        simulated=tags.get(Tag.SIMULATED, "no") == "yes",
        run_id=found.run_id or "",
        source=found.source or "",
        metrics=json.loads(tags.get(Tag.METRICS, "{}")),
        tags=tags,
        aliases=tuple(found.aliases or ()),
    )


def read_versions(database: Path, use_case: str) -> list[RegisteredVersion]:
    """List all versions, newest first, with their aliases; empty if there is no database, which is never created here.

    Raises:
        VigieError: the database cannot be read.
    """
    query = "SELECT version, run_id, source FROM model_versions WHERE name = ? AND current_stage IS NOT ? "
    # MLflow's stage of deleted versions
    found = read_rows(database, query + "ORDER BY version DESC", (use_case, "Deleted_Internal"))
    tags: dict[int, dict[str, str]] = {number: {} for number, _, _ in found}
    query = "SELECT version, key, value FROM model_version_tags WHERE name = ?"
    for number, key, value in read_rows(database, query, (use_case,)):
        tags.setdefault(number, {})[key] = value
    aliases: dict[int, list[str]] = {}
    query = "SELECT version, alias FROM registered_model_aliases WHERE name = ? ORDER BY alias"
    for number, alias in read_rows(database, query, (use_case,)):
        aliases.setdefault(number, []).append(alias)
    fields = ("name", "version", "run_id", "source", "tags", "aliases")
    rows = [(use_case, number, run, source, tags[number], aliases.get(number)) for number, run, source in found]
    return [from_mlflow(SimpleNamespace(**dict(zip(fields, row, strict=True)))) for row in rows]


def copy_artifact(database: Path, run_id: str, name: str, folder: Path) -> Path | None:
    """Copy an artifact (file or folder) of a run to ``folder``; None if the run's artifacts are not on this machine.

    Raises:
        OSError: the artifact does not exist.
        VigieError: the database cannot be read.
    """
    for (uri,) in read_rows(database, "SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)):
        parts = urlsplit(uri)
        if parts.scheme in {"", "file"}:
            source = path_here(database.parent / "artifacts", Path(unquote(parts.path))) / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            return Path(copy(source, folder / name))
    return None


def path_here(artifacts: Path, path: Path) -> Path:
    """Return where an artifact's path below another home is below this one's ``artifacts``, if it is there; else the
    path itself."""
    below = BELOW_SOME_HOME.search(str(path))
    return artifacts / below[1] if below and (artifacts / below[1]).exists() else path


def read_rows(database: Path, query: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
    if not database.is_file():
        return []
    try:
        address = f"file:{quote(str(database))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise VigieError(
            f"The model registry {database} cannot be read: {error}.",
            action="See that the disk has room and the file is whole; ./vigie restore brings back a backup's.",
        ) from None
