"""Files that the registry keeps with a version: read from the disk of the embedded registry, else from MLflow's REST
API, for the same reason as the list of versions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import httpx

from services.core.errors import NotFoundError, UnavailableError
from services.core.registry.version import Version
from services.core.settings import Settings

SECONDS = 10.0
LARGEST_MB = 16
_AWAY = "See that it runs, and VIGIE_REGISTRY_URL and MLFLOW_TRACKING_USERNAME with its password."


class Artifacts:
    """The artifacts of one version's run. Every method raises UnavailableError where the registry does not answer."""

    def __init__(self, settings: Settings, version: Version) -> None:
        self._url, self._version = settings.registry_url, version
        self._root = settings.home.registry_artifacts.resolve()

    def content(self, path: str) -> bytes:
        """
        Raises:
            NotFoundError: the version has no such file, or one beyond ``LARGEST_MB``.
        """
        found = self._from_disk(path) if self._url is None else self._from_server(path)
        if found is None or len(found) > LARGEST_MB * 1_000_000:
            name = f"{self._version.use_case} version {self._version.number}"
            raise NotFoundError(f"The registry has no {path} of {name}.", action="Versions of the platform have it.")
        return found

    def json(self, path: str) -> dict[str, Any] | None:
        """The content of a JSON object; None where there is none."""
        try:
            found = json.loads(self.content(path))
        except (NotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def names(self, folder: str) -> list[str]:
        """The files right below ``folder``, sorted; none where it is not there."""
        if self._url is None:
            place = self._place(folder)
            return sorted(path.name for path in place.iterdir()) if place is not None and place.is_dir() else []
        answer = self._asked("api/2.0/mlflow/artifacts/list", {"run_id": self._version.run_id, "path": folder})
        if answer.status_code != httpx.codes.OK:
            return []
        files = answer.json().get("files", [])
        return sorted(str(item["path"]).rpartition("/")[2] for item in files if not item.get("is_dir"))

    # --- inside -------------------------------------------------------------------------------------

    def _place(self, path: str) -> Path | None:
        """A path of the version's run on disk; None where it leads out of the registry's folder."""
        run = Path(unquote(urlparse(self._version.source).path)).parent
        place = (run / path).resolve()
        return place if place.is_relative_to(self._root) else None

    def _from_disk(self, path: str) -> bytes | None:
        place = self._place(path)
        return place.read_bytes() if place is not None and place.is_file() else None

    def _from_server(self, path: str) -> bytes | None:
        answer = self._asked("get-artifact", {"run_uuid": self._version.run_id, "path": path})
        return answer.content if answer.status_code == httpx.codes.OK else None

    def _asked(self, path: str, params: dict[str, str]) -> httpx.Response:
        assert self._url is not None
        user = (os.environ.get("MLFLOW_TRACKING_USERNAME", ""), os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
        try:
            answer = httpx.get(
                f"{self._url.rstrip('/')}/{path}",
                params=params,
                auth=user if user[0] else None,
                timeout=SECONDS,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            reason = type(error).__name__
            raise UnavailableError(f"The model registry does not answer ({reason}).", action=_AWAY) from None
        if answer.status_code in {401, 403} or answer.status_code in {502, 503, 504}:
            raise UnavailableError(
                f"The model registry does not answer as it should ({answer.status_code}).", action=_AWAY
            )
        return answer
