"""Data of registered versions: checkout, push, pull and garbage collection, from each version's ``dvc.lock``."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import structlog
import yaml

from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.pipeline.dvc_runner import run_dvc
from services.core.pipeline.run_lock import run_lock
from services.core.pipeline.workspace import init_bare_workspace, link_landing, publish_state
from services.core.settings import CHECKOUT


@dataclass(frozen=True, slots=True)
class LockedOutput:
    """An output of a stage: its path, and DVC's metadata for restoring it."""

    path: str
    entry: dict[str, Any]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


def locked_outputs(lock_text: str) -> list[LockedOutput]:
    """List the outputs in a lock file.

    Raises:
        VigieError: the text is not a lock file.
    """
    try:
        stages = yaml.safe_load(lock_text)["stages"].values()
        found = [dict(out) for stage in stages for out in stage.get("outs", [])]
        return [LockedOutput(str(out["path"]), {k: v for k, v in out.items() if k != "path"}) for out in found]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise VigieError(f"This is no dvc.lock: {error!r}", expected="the dvc.lock kept with a version") from error


@contextmanager
def bare_workspace(home: VigiePaths, wanted: Iterable[tuple[str, LockedOutput]], purpose: str) -> Iterator[Path]:
    """Create a temporary workspace that tracks each output at the given path, so that DVC's commands fetch, push or
    retain exactly these."""
    folder = home.scratch / f"{purpose}-{secrets.token_hex(6)}"
    folder.mkdir(parents=True)
    try:
        init_bare_workspace(home, folder)
        for path, output in wanted:
            target = folder / f"{path}.dvc"
            target.parent.mkdir(parents=True, exist_ok=True)
            entry = {**output.entry, "path": PurePosixPath(path).name}
            target.write_text(yaml.safe_dump({"outs": [entry]}))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_DATA_FOLDERS = ("raw", "examples")
_REMOVED_LINE = re.compile(r"Removed (\d+) objects from (?P<place>\S+)")


def checkout_data(home: VigiePaths, lock_text: str, use_case: str, folder: Path) -> None:
    """Restore the raw tables and examples named in ``lock_text`` (a version's dvc.lock) to ``folder/raw`` and
    ``folder/examples``, from the cache or else the remote.

    Raises:
        VigieError: the folder is not empty or belongs to live data, the lock names no data of the use case, or the data
            is in neither place.
    """
    wanted = [
        out for out in locked_outputs(lock_text) if out.path in {f"data/{use_case}/{name}" for name in _DATA_FOLDERS}
    ]
    if not wanted:
        raise VigieError(f"The lock file names no data of {use_case}.", expected="a lock file with its ingest stage")
    _check_target(home, folder)
    with bare_workspace(home, [(out.name, out) for out in wanted], "checkout") as workspace:
        _pull_into(home, workspace, f"the data of this version of {use_case}")
        folder.mkdir(parents=True, exist_ok=True)
        for out in wanted:
            # Staged first: the folder may be on another disk, where moving means copying.
            beside = folder / f".{out.name}.part"
            shutil.move(workspace / out.name, beside)
            beside.rename(folder / out.name)


def push_data(home: VigiePaths, use_case: str) -> None:
    """Push all data named in the published state's lock to the remote.

    Raises:
        VigieError: nothing is published, or the remote cannot be written.
    """
    with bare_workspace(home, _outputs_of_state(_published_state(home, use_case)), "push") as workspace:
        run_dvc(home, workspace, ["push"])


def pull_data(home: VigiePaths, use_case: str) -> Path:
    """Restore all data named in the published state's lock from the cache or the remote and publish it again, for a
    state with lost or damaged files. Returns the new state.

    Raises:
        VigieError: nothing is published, or an object is in neither place.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-pulled"
    with run_lock(home, use_case, "pull"):
        state = _published_state(home, use_case)
        with bare_workspace(home, _outputs_of_state(state), "pull") as workspace:
            _pull_into(home, workspace, f"the published state of {use_case}")
            link_landing(state, use_case, workspace)
            shutil.copy2(state / "dvc.lock", workspace / "dvc.lock")
            for tracked in (*workspace.glob("data/*/*.dvc"), *workspace.glob("models/*/*.dvc")):
                tracked.unlink()
            return publish_state(home, use_case, workspace, run_id)


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """Number of objects that were, or with ``dry_run`` would be, removed."""

    cache: int
    remote: int
    dry_run: bool

    def __str__(self) -> str:
        return f"{self.cache} objects of the cache and {self.remote} of the remote"


def collect_garbage(home: VigiePaths, kept_locks: Iterable[str], *, dry_run: bool = False) -> GarbageReport:
    """Remove from cache and remote what is named neither in a published state nor in ``kept_locks`` (dvc.lock texts of
    the versions to retain). Waits until no run is active.

    Raises:
        VigieError: a lock is not a lock file; nothing was removed.
    """
    use_cases = sorted({*use_case_registry.names(), *(path.name for path in (home.root / "states").glob("*"))})
    with ExitStack() as stack:
        for use_case in use_cases:
            stack.enter_context(run_lock(home, use_case, "garbage collection"))
        texts = {*kept_locks, *(path.read_text() for path in (home.root / "states").glob("*/*/dvc.lock"))}
        wanted: dict[str, LockedOutput] = {}
        for text in texts:
            for out in locked_outputs(text):
                wanted[str(out.entry)] = out
        numbered = [(f"kept/{number}", out) for number, out in enumerate(wanted.values())]
        with bare_workspace(home, numbered, "garbage") as workspace:
            arguments = ["gc", "--workspace", "--cloud", "--remote", "local", "--force"]
            output = run_dvc(home, workspace, [*arguments, *(["--dry"] if dry_run else [])])
    removed = {"local": 0, "remote": 0}
    for line in output:
        if found := _REMOVED_LINE.search(line):
            removed["remote" if found["place"].startswith("remote") else "local"] += int(found[1])
    structlog.get_logger().info("garbage collected", **removed, kept=len(wanted), dry_run=dry_run)
    return GarbageReport(removed["local"], removed["remote"], dry_run)


def _pull_into(home: VigiePaths, workspace: Path, what: str) -> None:
    try:
        run_dvc(home, workspace, ["pull"])
    except VigieError as error:
        raise VigieError(
            f"Not all of {what} is in the cache or the remote.\n{error.problem}",
            action="Garbage collection forgets versions that are not kept; run it again from its raw files.",
        ) from error


def _published_state(home: VigiePaths, use_case: str) -> Path:
    current = home.current(use_case)
    if not (current / "dvc.lock").is_file():
        raise VigieError(f"Nothing of {use_case} is published yet.", action=f"Run ./vigie run {use_case} first.")
    return current.resolve()


def _outputs_of_state(state: Path) -> list[tuple[str, LockedOutput]]:
    return [(out.path, out) for out in locked_outputs((state / "dvc.lock").read_text())]


def _check_target(home: VigiePaths, folder: Path) -> None:
    target = folder.resolve()
    live = [home.root.resolve(), (CHECKOUT / "data").resolve(), (CHECKOUT / "models").resolve()]
    if any(target == place or place in target.parents for place in live):
        raise VigieError(f"{folder} is live data.", expected="a folder of your own", action="Name another folder.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise VigieError(f"{folder} is not empty.", expected="a new or empty folder", action="Name another folder.")
