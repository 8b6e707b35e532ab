"""Making a finished workspace the published state: everything is moved beside the old state first, then
one symbolic link is replaced. Readers that resolve the link once see the old state or the new one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from services.core.home import Home
from services.core.io import replacing

_PART = ".part-"
KEPT_STATES = 2
"""The current state and the one before, which a reader may still be reading."""


def publish(home: Home, use_case: str, workspace: Path, run_id: str) -> Path:
    """Move ``data/<use case>``, ``models/<use case>`` and ``dvc.lock`` of the workspace into a new state
    and make it the current one. Returns the state. The caller holds the use case's turn."""
    part = home.states(use_case) / f"{_PART}{run_id}"
    part.mkdir(parents=True)
    for kind in ("data", "models"):
        source = workspace / kind / use_case
        if source.is_dir():
            (part / kind).mkdir()
            source.rename(part / kind / use_case)
    if (workspace / "dvc.lock").is_file():
        (workspace / "dvc.lock").rename(part / "dvc.lock")
    state = part.with_name(run_id)
    part.rename(state)
    point(home, use_case, state)
    prune(home, use_case)
    return state


def point(home: Home, use_case: str, state: Path) -> None:
    """Let ``current`` mean ``state``. The link is relative, so that a home can be moved as a whole."""
    link = home.current(use_case)
    with replacing(link) as beside:
        beside.symlink_to(os.path.relpath(state, link.parent))


def prune(home: Home, use_case: str) -> None:
    """Remove all but the newest states, and what a killed run left of one. The current one stays."""
    current = home.current(use_case)
    newest = current.resolve().name
    states = sorted(path.name for path in home.states(use_case).iterdir())
    complete = [name for name in states if not name.startswith(_PART) and name <= newest]
    for name in set(states) - {newest, *complete[-KEPT_STATES:]}:
        shutil.rmtree(home.states(use_case) / name)
    for beside in current.parent.glob(f".{use_case}.*"):
        beside.unlink()
