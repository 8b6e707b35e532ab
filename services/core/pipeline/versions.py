"""The data behind versions: bringing it back, sharing it and forgetting what nothing needs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from services.core.errors import VigieError
from services.core.home import Home
from services.core.pipeline.dvc_process import dvc
from services.core.pipeline.locks import LockedOutput, bare_workspace, outputs
from services.core.pipeline.publish import publish
from services.core.pipeline.turns import turn
from services.core.pipeline.workspace import link_landing
from services.core.settings import CHECKOUT
from services.core.usecases import registry

_DATA = ("raw", "examples")
_REMOVED = re.compile(r"Removed (\d+) objects from (?P<place>\S+)")


def checkout_data(home: Home, lock_text: str, use_case: str, folder: Path) -> None:
    """Bring the raw tables and examples that ``lock_text`` (the dvc.lock kept with a version) names into
    ``folder/raw`` and ``folder/examples``, from the cache or else the remote.

    Raises:
        VigieError: the folder is not empty or belongs to live data, the lock names no data of the use
            case, or the data is in neither place.
    """
    wanted = [out for out in outputs(lock_text) if out.path in {f"data/{use_case}/{name}" for name in _DATA}]
    if not wanted:
        raise VigieError(f"The lock file names no data of {use_case}.", expected="a lock file with its ingest stage")
    _refuse_live(home, folder)
    with bare_workspace(home, [(out.name, out) for out in wanted], "checkout") as workspace:
        _pull(home, workspace, f"the data of this version of {use_case}")
        folder.mkdir(parents=True, exist_ok=True)
        for out in wanted:
            # beside first: the folder may be on another disk, where moving means copying
            beside = folder / f".{out.name}.part"
            shutil.move(workspace / out.name, beside)
            beside.rename(folder / out.name)


def push(home: Home, use_case: str) -> None:
    """Send everything that the published state's lock names to the remote.

    Raises:
        VigieError: nothing is published, or the remote cannot be written.
    """
    with bare_workspace(home, _in_place(_published(home, use_case)), "push") as workspace:
        dvc(home, workspace, ["push"])


def pull(home: Home, use_case: str) -> Path:
    """Bring everything that the published state's lock names back from the cache or the remote, and publish
    it anew: for a state whose files were lost or damaged. Returns the new state.

    Raises:
        VigieError: nothing is published, or something is in neither place.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-pulled"
    with turn(home, use_case, "pull"):
        state = _published(home, use_case)
        with bare_workspace(home, _in_place(state), "pull") as workspace:
            _pull(home, workspace, f"the published state of {use_case}")
            link_landing(state, use_case, workspace)
            shutil.copy2(state / "dvc.lock", workspace / "dvc.lock")
            for tracked in (*workspace.glob("data/*/*.dvc"), *workspace.glob("models/*/*.dvc")):
                tracked.unlink()
            return publish(home, use_case, workspace, run_id)


@dataclass(frozen=True, slots=True)
class Garbage:
    """How many objects were, or with ``dry_run`` would be, removed."""

    cache: int
    remote: int
    dry_run: bool

    def __str__(self) -> str:
        return f"{self.cache} objects of the cache and {self.remote} of the remote"


def collect_garbage(home: Home, kept_locks: Iterable[str], *, dry_run: bool = False) -> Garbage:
    """Remove from cache and remote what neither a published state nor one of ``kept_locks`` (the dvc.lock
    texts of the versions to keep) names. Waits until no run is at work.

    Raises:
        VigieError: a lock is no lock file; nothing was removed then.
    """
    use_cases = sorted({*registry.names(), *(path.name for path in (home.root / "states").glob("*"))})
    with ExitStack() as stack:
        for use_case in use_cases:
            stack.enter_context(turn(home, use_case, "garbage collection"))
        texts = {*kept_locks, *(path.read_text() for path in (home.root / "states").glob("*/*/dvc.lock"))}
        wanted: dict[str, LockedOutput] = {}
        for text in texts:
            for out in outputs(text):
                wanted[str(out.entry)] = out
        numbered = [(f"kept/{number}", out) for number, out in enumerate(wanted.values())]
        with bare_workspace(home, numbered, "garbage") as workspace:
            arguments = ["gc", "--workspace", "--cloud", "--remote", "local", "--force"]
            said = dvc(home, workspace, [*arguments, *(["--dry"] if dry_run else [])])
    removed = {"local": 0, "remote": 0}
    for line in said:
        if found := _REMOVED.search(line):
            removed["remote" if found["place"].startswith("remote") else "local"] += int(found[1])
    structlog.get_logger().info("garbage collected", **removed, kept=len(wanted), dry_run=dry_run)
    return Garbage(removed["local"], removed["remote"], dry_run)


def _pull(home: Home, workspace: Path, what: str) -> None:
    try:
        dvc(home, workspace, ["pull"])
    except VigieError as error:
        raise VigieError(
            f"Not all of {what} is in the cache or the remote.\n{error.problem}",
            action="Garbage collection forgets versions that are not kept; run it again from its raw files.",
        ) from error


def _published(home: Home, use_case: str) -> Path:
    current = home.current(use_case)
    if not (current / "dvc.lock").is_file():
        raise VigieError(f"Nothing of {use_case} is published yet.", action=f"Run ./vigie run {use_case} first.")
    return current.resolve()


def _in_place(state: Path) -> list[tuple[str, LockedOutput]]:
    return [(out.path, out) for out in outputs((state / "dvc.lock").read_text())]


def _refuse_live(home: Home, folder: Path) -> None:
    target = folder.resolve()
    live = [home.root.resolve(), (CHECKOUT / "data").resolve(), (CHECKOUT / "models").resolve()]
    if any(target == place or place in target.parents for place in live):
        raise VigieError(f"{folder} is live data.", expected="a folder of your own", action="Name another folder.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise VigieError(f"{folder} is not empty.", expected="a new or empty folder", action="Name another folder.")
