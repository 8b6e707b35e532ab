"""Reads versions and their artifacts from the model registry.

Reads the embedded registry's files, or MLflow's REST API; avoids MLflow's client, which is slow to import."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlparse

import httpx
from pydantic import ValidationError

from services.core.bundle.manifest import BundleManifest
from services.core.errors import NotFoundError, UnavailableError
from services.core.model_registry.client import LOCK_FILE, ModelRegistry
from services.core.model_registry.mlflow_backend import EVALUATION, from_mlflow, run_params
from services.core.model_registry.version import RegisteredVersion
from services.core.settings import Settings
from services.gateway.models.schemas import ModelVersionDetails

LIST_TIMEOUT_SECONDS = 5.0
_API = "api/2.0/mlflow"
_REGISTRY_HINT = "See that it runs, and VIGIE_REGISTRY_URL and MLFLOW_TRACKING_USERNAME with its password."


def list_versions(settings: Settings, use_case: str) -> list[RegisteredVersion]:
    """List all versions, newest first, with their aliases.

    Raises:
        UnavailableError: the registry does not answer, or not as expected.
    """
    if settings.registry_url is None:
        return ModelRegistry(settings).versions(use_case)
    with _registry_client(settings.registry_url, LIST_TIMEOUT_SECONDS) as client:
        model = client.get(f"{_API}/registered-models/get", params={"name": use_case})
        if model.status_code == 404:
            return []
        aliases = model.raise_for_status().json()["registered_model"].get("aliases", [])
        found = _search_versions(client, use_case)
    named: dict[str, list[str]] = {}
    for alias in aliases:
        named.setdefault(str(alias["version"]), []).append(str(alias["alias"]))
    versions = [_to_version(item, sorted(named.get(str(item["version"]), []))) for item in found]
    return sorted(versions, key=lambda version: -version.number)


def describe_version(version: RegisteredVersion) -> dict[str, Any]:
    names = ("number", "aliases", "created", "simulated", "bundle_hash", "run_id", "metrics", "tags")
    return {name: getattr(version, name) for name in names}


def _search_versions(client: httpx.Client, use_case: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params = {"filter": f"name = '{use_case}'", "max_results": "1000"}
    while True:
        page = client.get(f"{_API}/model-versions/search", params=params).raise_for_status().json()
        found += page.get("model_versions", [])
        if not page.get("next_page_token"):
            return found
        params["page_token"] = page["next_page_token"]


def _to_version(item: dict[str, Any], aliases: list[str]) -> RegisteredVersion:
    return from_mlflow(
        SimpleNamespace(
            name=item["name"],
            version=item["version"],
            run_id=item.get("run_id"),
            source=item.get("source"),
            tags={tag["key"]: tag["value"] for tag in item.get("tags", [])},
            aliases=aliases,
        )
    )


ARTIFACT_TIMEOUT_SECONDS = 10.0
MAX_ARTIFACT_MB = 16


class RunArtifacts:
    """The artifacts of a version's run. Every method raises UnavailableError if the registry does not answer."""

    def __init__(self, settings: Settings, version: RegisteredVersion) -> None:
        self._url, self._version = settings.registry_url, version
        self._root = settings.home.registry_artifacts.resolve()

    def content(self, path: str) -> bytes:
        """Return the content of an artifact.

        Raises:
            NotFoundError: the version has no such file, or it exceeds ``MAX_ARTIFACT_MB``.
        """
        found = self._from_disk(path) if self._url is None else self._from_server(path)
        if found is None or len(found) > MAX_ARTIFACT_MB * 1_000_000:
            name = f"{self._version.use_case} version {self._version.number}"
            raise NotFoundError(f"The registry has no {path} of {name}.", action="Versions of the platform have it.")
        return found

    def json(self, path: str) -> dict[str, Any] | None:
        """Return a JSON object; None if the file does not exist."""
        try:
            found = json.loads(self.content(path))
        except (NotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def names(self, folder: str) -> list[str]:
        """List the files directly in ``folder``, sorted; empty if it does not exist."""
        if self._url is None:
            place = self._place(folder)
            return sorted(path.name for path in place.iterdir()) if place is not None and place.is_dir() else []
        answer = self._get(f"{_API}/artifacts/list", {"run_id": self._version.run_id, "path": folder})
        if answer.status_code != httpx.codes.OK:
            return []
        files = answer.json().get("files", [])
        return sorted(str(item["path"]).rpartition("/")[2] for item in files if not item.get("is_dir"))

    # --- internal -----------------------------------------------------------------------------------

    def _place(self, path: str) -> Path | None:
        """Return an artifact's path on disk; None if it would lie outside of the registry's folder."""
        run = Path(unquote(urlparse(self._version.source).path)).parent
        place = (run / path).resolve()
        return place if place.is_relative_to(self._root) else None

    def _from_disk(self, path: str) -> bytes | None:
        place = self._place(path)
        return place.read_bytes() if place is not None and place.is_file() else None

    def _from_server(self, path: str) -> bytes | None:
        answer = self._get("get-artifact", {"run_uuid": self._version.run_id, "path": path})
        return answer.content if answer.status_code == httpx.codes.OK else None

    def _get(self, path: str, params: dict[str, str]) -> httpx.Response:
        assert self._url is not None
        with _registry_client(self._url, ARTIFACT_TIMEOUT_SECONDS) as client:
            answer = client.get(path, params=params)
            if answer.status_code in {401, 403, 502, 503, 504}:
                answer.raise_for_status()
            return answer


@contextmanager
def _registry_client(url: str, timeout: float) -> Iterator[httpx.Client]:
    """Open an HTTP client of the registry and translate its errors.

    Raises:
        UnavailableError: the registry does not answer, or not as expected.
    """
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
    try:
        auth = (user, password) if user else None
        with httpx.Client(base_url=url.rstrip("/"), auth=auth, timeout=timeout, trust_env=False) as client:
            yield client
    except (httpx.HTTPError, ValueError, KeyError) as error:
        status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
        raise UnavailableError(
            f"The model registry does not answer as it should ({status}).", action=_REGISTRY_HINT
        ) from None


PLOT_NAME = re.compile(r"[A-Za-z0-9_]+(-[a-z]+)*\.png")
_DATA_PARAMETER = re.compile(r"data\.|versions\.")


def get_version(settings: Settings, use_case: str, number: int) -> RegisteredVersion:
    """Return one version.

    Raises:
        NotFoundError: no such version.
        UnavailableError: the registry does not answer.
    """
    for version in list_versions(settings, use_case):
        if version.number == number:
            return version
    raise NotFoundError(f"{use_case} has no version {number}.", action=f"GET /admin/models/{use_case} lists them.")


def version_details(settings: Settings, version: RegisteredVersion) -> ModelVersionDetails:
    """Collect metrics, the gate's decision, parameters and data of a version.

    Missing items are empty: a version may have been registered manually or by an older release.

    Raises:
        UnavailableError: the registry does not answer.
    """
    files = RunArtifacts(settings, version)
    report = files.json(f"{EVALUATION}/metrics.json") or {}
    manifest = _read_manifest(files)
    made_with = {} if manifest is None else _read_parameters(files, manifest)
    return ModelVersionDetails(
        use_case=version.use_case,
        version=describe_version(version),
        rows=report.get("rows"),
        metrics=report.get("metrics") or version.metrics,
        baseline=report.get("baseline") or {},
        importance=report.get("importance") or {},
        omitted=report.get("omitted") or {},
        subgroups=files.json(f"{EVALUATION}/subgroups.json") or {},
        gate=files.json("gate.json"),
        parameters={name: value for name, value in made_with.items() if not _DATA_PARAMETER.match(name)},
        data={} if manifest is None else dict(manifest.data),
        versions={} if manifest is None else dict(manifest.versions),
        plots=[name for name in files.names(f"{EVALUATION}/plots") if PLOT_NAME.fullmatch(name)],
    )


def read_model_card(settings: Settings, version: RegisteredVersion) -> str:
    """Return the model card as Markdown.

    Raises:
        NotFoundError: the version has none.
    """
    return RunArtifacts(settings, version).content(f"{EVALUATION}/model_card.md").decode("utf-8")


def read_plot(settings: Settings, version: RegisteredVersion, name: str) -> bytes:
    """Return a plot as PNG.

    Raises:
        NotFoundError: the version has no plot of this name.
    """
    if not PLOT_NAME.fullmatch(name):
        raise NotFoundError("There is no such plot.", action="The version's entry lists its plots.")
    return RunArtifacts(settings, version).content(f"{EVALUATION}/plots/{name}")


def _read_manifest(files: RunArtifacts) -> BundleManifest | None:
    try:
        return BundleManifest.model_validate(files.json("bundle/bundle.json"))
    except ValidationError:
        return None


def _read_parameters(files: RunArtifacts, manifest: BundleManifest) -> dict[str, Any]:
    """Return the parameters of the stages (from the run's lock file) and of the bundle."""
    with tempfile.TemporaryDirectory(prefix="vigie-lock-") as folder:
        lock = Path(folder) / LOCK_FILE
        with suppress(NotFoundError):  # created without DVC
            lock.write_bytes(files.content(LOCK_FILE))
        return dict(run_params(manifest, lock))
