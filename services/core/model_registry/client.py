"""Model registry client: versions of bundles and three aliases, over MLflow.

``champion`` is served, ``challenger`` is the newest version that is not, ``previous`` was served before the champion.
An alias is a pointer that can be moved back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from services.core.bundle.manifest import bundle_hash, read_manifest, verify_bundle
from services.core.errors import VigieError
from services.core.model_registry.mlflow_backend import (
    BUNDLE,
    EVALUATION,
    connect,
    copy_artifact,
    download_artifact,
    embedded_uri,
    from_mlflow,
    is_not_found,
    read_versions,
    redact,
    register_run,
    translate_errors,
)
from services.core.model_registry.sqlite_backend import prepare_database
from services.core.model_registry.version import CHALLENGER, CHAMPION, PREVIOUS, RegisteredVersion, Tag
from services.core.paths import VigiePaths
from services.core.settings import Settings
from services.core.settings import settings as process_settings

LOCK_FILE = "dvc.lock"


class ModelRegistry:
    """Client of one registry: the MLflow server at ``registry_url``, else the SQLite file below the home.

    Every method raises VigieError if the registry is unreachable or rejects the request."""

    def __init__(self, settings: Settings, *, patience: float = 3.0) -> None:
        """``patience``: timeout of a server request, seconds."""
        self.settings, self.home = settings, settings.home
        self.uri = settings.registry_url or embedded_uri(self.home)
        self.embedded = settings.registry_url is None
        self._patience = patience
        self._connected: Any = None

    @classmethod
    def open(cls, home: VigiePaths, *, patience: float = 30.0) -> ModelRegistry:
        """Open the registry in the process's settings. An embedded one lies in ``home``: where that is not the
        process's own, it is a platform for itself (the demo), with a database of its own."""
        chosen = process_settings()
        if chosen.registry_url is None and home.root != chosen.home.root:
            chosen = chosen.model_copy(update={"home_path": home.root, "database_url": None})
        return cls(chosen, patience=patience)

    def prepare(self) -> None:
        """Connect now; creates the embedded database if missing. Importing MLflow takes seconds, so a command that will
        need the registry may call this early in a thread."""
        with translate_errors(self.uri):
            self._client.search_registered_models(max_results=1)

    def versions(self, use_case: str) -> list[RegisteredVersion]:
        """List all versions, newest first, with their aliases."""
        if self.embedded:
            return read_versions(self.home.registry_database, use_case)
        with translate_errors(self.uri):
            found = self._client.search_model_versions(f"name = '{use_case}'")
            aliases = self._aliases(use_case)
        by_number: dict[int, list[str]] = {}
        for alias, number in sorted(aliases.items()):
            by_number.setdefault(number, []).append(alias)
        versions = [from_mlflow(item) for item in found]
        named = [replace(version, aliases=tuple(by_number.get(version.number, ()))) for version in versions]
        return sorted(named, key=lambda version: -version.number)

    def by_alias(self, use_case: str, alias: str) -> RegisteredVersion | None:
        """Return the version of an alias; None if the model or the alias does not exist."""
        if self.embedded:
            return next((version for version in self.versions(use_case) if alias in version.aliases), None)
        found = self._ask(use_case, lambda: self._client.get_model_version_by_alias(use_case, alias))
        return from_mlflow(found) if found else None

    def version(self, use_case: str, number: int) -> RegisteredVersion:
        """Return one version.

        Raises:
            VigieError: no such version.
        """
        if self.embedded:
            found = next((version for version in self.versions(use_case) if version.number == number), None)
        else:
            answer = self._ask(use_case, lambda: self._client.get_model_version(use_case, str(number)))
            found = from_mlflow(answer) if answer else None
        if found is None:
            raise VigieError(
                f"{use_case} has no version {number}.", action=f"./vigie models {use_case} lists its versions."
            )
        return found

    def by_hash(self, use_case: str, digest: str) -> RegisteredVersion | None:
        """Return the version whose bundle has this hash."""
        holders = [version for version in self.versions(use_case) if version.bundle_hash == digest]
        return min(holders, key=lambda version: version.number, default=None)

    def download(self, version: RegisteredVersion, folder: Path) -> Path:
        """Download the version's bundle to ``folder``, where it appears only after every hash was verified. Returns
        ``folder``.

        Raises:
            VigieError: the bundle is incomplete, changed or another one.
        """
        with self._fetched(version, BUNDLE) as fetched:
            verify_bundle(fetched, version.bundle_hash)
            shutil.copytree(fetched, folder, dirs_exist_ok=True)
        return folder

    def download_unverified(self, version: RegisteredVersion, folder: Path) -> None:
        """Download the version's bundle to ``folder``, for a caller that verifies it."""
        with self._fetched(version, BUNDLE) as fetched:
            shutil.copytree(fetched, folder, dirs_exist_ok=True)

    def download_evaluation(self, version: RegisteredVersion, folder: Path) -> Path:
        """Download the version's metrics, model card, plots and frozen test rows to ``folder``."""
        with self._fetched(version, EVALUATION) as fetched:
            shutil.copytree(fetched, folder, dirs_exist_ok=True)
        return folder

    def lock_file(self, version: RegisteredVersion) -> str:
        """Return the ``dvc.lock`` of the version's run, which identifies its exact data."""
        with self._fetched(version, LOCK_FILE) as fetched:
            return fetched.read_text(encoding="utf-8")

    def log_run_and_register(self, use_case: str, state: Path) -> RegisteredVersion:
        """Log a run and register its bundle as challenger. An already registered bundle returns its existing version.

        ``state`` has ``models/<use case>/bundle``, ``models/<use case>/evaluation`` and ``dvc.lock``. The version is
        created last, so an interrupted run leaves none."""
        models = state / "models" / use_case
        # Embedded: a use case's files lie below the home, readable by a local MLflow server and this client.
        # A remote server chooses their location itself.
        location = (self.home.registry_artifacts / use_case).as_uri() if self.embedded else None
        with self._lock(use_case):
            known = self.by_hash(use_case, bundle_hash(read_manifest(models / BUNDLE)))
            if known is None:
                with translate_errors(self.uri):
                    known = register_run(self._client, use_case, models, state / LOCK_FILE, location=location)
            champion = self.by_alias(use_case, CHAMPION)
            if champion is None or champion.number != known.number:
                with translate_errors(self.uri):
                    self._client.set_registered_model_alias(use_case, CHALLENGER, str(known.number))
        return self.version(use_case, known.number)

    def set_tags(self, version: RegisteredVersion, tags: Mapping[str, str]) -> None:
        with translate_errors(self.uri):
            for key, value in tags.items():
                self._client.set_model_version_tag(version.use_case, str(version.number), key, value[:4_900])

    def log_json(self, version: RegisteredVersion, name: str, content: Mapping[str, Any]) -> None:
        """Store a JSON artifact with the version's run."""
        with translate_errors(self.uri):
            self._client.log_dict(version.run_id, dict(content), name)

    def promote(
        self, use_case: str, number: int, *, compared_with: int | Literal["any"] | None = "any"
    ) -> RegisteredVersion:
        """Make a version with a sound bundle the champion and the old champion ``previous``. ``compared_with``: the
        champion that the gate saw (None: there was none); a different current one is an error.

        Order of writes: tag ``follows``, alias ``previous``, alias ``champion``, removal of ``challenger``. If
        interrupted before the third the old champion serves, and promoting again completes it."""
        with self._lock(use_case):
            chosen, champion = self.version(use_case, number), self.by_alias(use_case, CHAMPION)
            holder = None if champion is None else champion.number
            if compared_with != "any" and holder not in {compared_with, number}:
                raise VigieError(
                    f"The champion of {use_case} is version {holder} now; the gate compared with {compared_with}.",
                    action=f"Let the gate decide again: ./vigie promote {use_case}",
                )
            self._ensure_whole(chosen)
            with translate_errors(self.uri):
                if champion is not None and champion.number != number:
                    self.set_tags(chosen, {Tag.FOLLOWS: str(champion.number)})
                    self._client.set_registered_model_alias(use_case, PREVIOUS, str(champion.number))
                self._client.set_registered_model_alias(use_case, CHAMPION, str(number))
                self.set_tags(chosen, {Tag.PROMOTED: _now(), Tag.ROLLED_BACK: ""})
                if self._aliases(use_case).get(CHALLENGER) == number:
                    self._client.delete_registered_model_alias(use_case, CHALLENGER)
            return self.version(use_case, number)

    def rollback(self, use_case: str) -> RegisteredVersion:
        """Make ``previous`` the champion again, and ``previous`` its own predecessor, unless that one was rolled back.

        ``champion`` moves first: after an interruption at any point the old model serves again. An alias ``previous``
        left on the champion is ignored, as are versions that were deleted in MLflow.

        Raises:
            VigieError: there is no previous version with a sound bundle.
        """
        with self._lock(use_case):
            champion, previous = self.by_alias(use_case, CHAMPION), self.by_alias(use_case, PREVIOUS)
            if champion is not None and previous is not None and previous.number == champion.number:
                previous = self._predecessor(champion)
            if previous is None:
                self._drop_alias(use_case, PREVIOUS)  # which was left on the champion
                raise VigieError(
                    f"{use_case} has no previous version to go back to.",
                    action=f"Choose one from ./vigie models {use_case} and take it: ./vigie promote {use_case} NUMBER",
                )
            self._ensure_whole(previous)
            with translate_errors(self.uri):
                self._client.set_registered_model_alias(use_case, CHAMPION, str(previous.number))
                if champion is not None:
                    self.set_tags(champion, {Tag.ROLLED_BACK: _now()})
                before = self._predecessor(previous)
                if before is not None and not before.tags.get(Tag.ROLLED_BACK):
                    self._client.set_registered_model_alias(use_case, PREVIOUS, str(before.number))
                else:
                    self._drop_alias(use_case, PREVIOUS)
            return self.version(use_case, previous.number)

    @property
    def _client(self) -> Any:
        if self._connected is None:
            self._connected = connect(self.uri, self.home, self._patience, prepare_database)
        return self._connected

    def _ask(self, use_case: str, question: Callable[[], Any]) -> Any:
        """Call MLflow; None if the requested object does not exist."""
        with translate_errors(self.uri):
            from mlflow.exceptions import MlflowException  # noqa: PLC0415

            try:
                return question()
            except MlflowException as error:
                # MLflow denies access to a model that does not exist, too, against name guessing.
                name, denied = f"name = '{use_case}'", "error code 403" in str(error)
                if is_not_found(error) or (denied and not self._client.search_registered_models(filter_string=name)):
                    return None
                raise

    def _aliases(self, use_case: str) -> dict[str, int]:
        model = self._ask(use_case, lambda: self._client.get_registered_model(use_case))
        return {alias: int(number) for alias, number in model.aliases.items()} if model else {}

    def _predecessor(self, version: RegisteredVersion) -> RegisteredVersion | None:
        """Return the version that was champion before this one was promoted, if it was not deleted since."""
        number = version.tags.get(Tag.FOLLOWS, "")
        return next((other for other in self.versions(version.use_case) if str(other.number) == number), None)

    def _drop_alias(self, use_case: str, alias: str) -> None:
        if alias in self._aliases(use_case):
            self._ask(use_case, lambda: self._client.delete_registered_model_alias(use_case, alias))

    def _ensure_whole(self, version: RegisteredVersion) -> None:
        """Require that a version which is to serve has its bundle, before any alias moves."""
        with tempfile.TemporaryDirectory(prefix="vigie-") as folder:
            self.download(version, Path(folder) / "bundle")

    @contextmanager
    def _fetched(self, version: RegisteredVersion, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="vigie-") as beside:
            try:
                path = self._copied(version, name, Path(beside))
            except OSError as error:
                raise VigieError(
                    f"The registry does not give {name} of {version.use_case} version {version.number}: "
                    f"{redact(error, self.uri)}",
                    action="Roll back, or see that the registry's artifacts are where they were.",
                ) from None
            yield path

    def _copied(self, version: RegisteredVersion, name: str, folder: Path) -> Path:
        """Copy or download an artifact; raises OSError if the registry does not provide it."""
        found = copy_artifact(self.home.registry_database, version.run_id, name, folder) if self.embedded else None
        return found or download_artifact(self._client, version.run_id, name, folder)

    @contextmanager
    def _lock(self, use_case: str) -> Iterator[None]:
        """Lock a use case's versions and aliases on this machine for one change."""
        lock = self.home.root / "locks" / f"registry-{use_case}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
