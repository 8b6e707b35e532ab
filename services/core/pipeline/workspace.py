"""Scratch workspaces in which the platform runs DVC, and publishing a finished one as the current state.

A workspace holds copies of the code, the parameters and the last published state, so no stage can write to a published
file or the cache. All workspaces share one cache and one remote below ``VIGIE_HOME``. Publishing moves everything into
a new state folder first, then replaces one symbolic link: readers see the old state or the new one."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from services.core import params, use_case_registry
from services.core.errors import VigieError
from services.core.io import replacing
from services.core.paths import VigiePaths

_DVC_CONFIG = """\
[core]
    no_scm = true
    analytics = false
    check_update = false
    remote = local
    site_cache_dir = {site}
[cache]
    dir = {cache}
    type = "reflink,copy"
['remote "local"']
    url = {remote}
"""
_COPIED_FILES = ("dvc.yaml", ".dvcignore")
_STAGE_PACKAGES = frozenset({"core", "use_cases", "ingestion", "preprocessing", "training"})


def init_bare_workspace(home: VigiePaths, folder: Path) -> None:
    """Create an empty DVC workspace on the shared cache: the result of ``dvc init --no-scm`` and its configuration,
    without a second of start-up per command.

    ``reflink,copy``: outputs never share storage with the cache, so they are safe to write to."""
    (folder / ".dvc" / "tmp").mkdir(parents=True)
    for shared in (home.dvc_cache, home.dvc_remote):
        shared.mkdir(parents=True, exist_ok=True)
    folders = {"site": folder / ".dvc" / "tmp" / "site", "cache": home.dvc_cache, "remote": home.dvc_remote}
    quoted = {name: _quoted(str(place.resolve())) for name, place in folders.items()}
    (folder / ".dvc" / "config").write_text(_DVC_CONFIG.format(**quoted), encoding="utf-8")


def _quoted(path: str) -> str:
    """Quote a path for DVC's configuration, where ``#`` begins a comment and ``,`` a list."""
    mark = next((mark for mark in ('"', "'", '"""') if mark not in path), "'''")
    return f"{mark}{path}{mark}"


def create_workspace(home: VigiePaths, use_case: str, folder: Path, root: Path) -> None:
    """Create a workspace for a run of ``use_case``, with code, stages and parameters of ``root`` (the checkout) and the
    published state, if any.

    Raises:
        VigieError: ``root`` has no stages or parameters.
    """
    init_bare_workspace(home, folder)
    for name in _COPIED_FILES:
        if (root / name).is_file():
            shutil.copy2(root / name, folder / name)
    if not (folder / "dvc.yaml").is_file():
        raise VigieError(f"There is no dvc.yaml in {root}.", action="Run this from a complete checkout.")
    # Compiled files are copied too: they save half a second per stage, and DVC ignores them.
    shutil.copytree(root / "services", folder / "services", ignore=_unused_by_stages(root / "services"))
    _copy_extra_package(use_case, folder)
    parameters = params.load_params(root)
    if use_case in parameters.use_cases:
        shutil.copy2(root / params.PARAMS_FILE, folder / params.PARAMS_FILE)
    else:
        write_params(folder, parameters.including(use_case))
    state = home.current(use_case)
    if state.exists():
        seed_from_state(state.resolve(), use_case, folder)
    for impure in ("landing", "outcomes"):  # inputs of stages that no stage produces
        (folder / "data" / use_case / impure).mkdir(parents=True, exist_ok=True)


def _unused_by_stages(services: Path) -> Callable[[str, list[str]], set[str]]:
    """Return the filter of a copy of ``services``: omits hidden files, and packages that no stage imports."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        hidden = {name for name in names if name.startswith(".")}
        if Path(folder) != services:
            return hidden
        return hidden | {name for name in names if (services / name).is_dir() and name not in _STAGE_PACKAGES}

    return ignored


def write_params(folder: Path, parameters: params.Params) -> None:
    """Write a workspace's ``params.yaml``, for runs with their own parameters."""
    content = parameters.model_dump(mode="json")
    (folder / params.PARAMS_FILE).write_text(
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def seed_from_state(state: Path, use_case: str, folder: Path) -> None:
    """Copy a published state into a workspace; landed files are hard-linked."""
    for kind in ("data", "models"):
        source = state / kind / use_case
        if source.is_dir():
            shutil.copytree(source, folder / kind / use_case, ignore=shutil.ignore_patterns("landing"))
    link_landing(state, use_case, folder)
    if (state / "dvc.lock").is_file():
        shutil.copy2(state / "dvc.lock", folder / "dvc.lock")


def link_landing(state: Path, use_case: str, folder: Path) -> None:
    """Hard-link landed files, which are never modified; copy them if the file system cannot."""
    landing = folder / "data" / use_case / "landing"
    landing.mkdir(parents=True, exist_ok=True)
    for path in (state / "data" / use_case / "landing").glob("*"):
        try:
            (landing / path.name).hardlink_to(path)
        except OSError:
            shutil.copy2(path, landing / path.name)


def _copy_extra_package(use_case: str, folder: Path) -> None:
    """Copy the package of a use case from ``VIGIE_EXTRA_USE_CASES``, which lies outside of ``services``."""
    name = use_case_registry.packages()[use_case]
    target = folder.joinpath(*name.split("."))
    if target.exists():
        return
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise VigieError(
            f"The package {name} of the use case {use_case} cannot be found.", action="See VIGIE_EXTRA_USE_CASES."
        )
    shutil.copytree(Path(spec.submodule_search_locations[0]), target)


_PARTIAL_PREFIX = ".part-"
MAX_STATES = 2
"""The current state and the one before, which may still have readers."""


def publish_state(home: VigiePaths, use_case: str, workspace: Path, run_id: str) -> Path:
    """Move ``data/<use case>``, ``models/<use case>`` and ``dvc.lock`` of the workspace into a new state and make it
    current. Returns the state. The caller must hold the use case's run lock."""
    part = home.states(use_case) / f"{_PARTIAL_PREFIX}{run_id}"
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
    set_current(home, use_case, state)
    prune_states(home, use_case)
    return state


def set_current(home: VigiePaths, use_case: str, state: Path) -> None:
    """Point the ``current`` link at ``state``, atomically. The link is relative, so that a home can be moved as a
    whole."""
    link = home.current(use_case)
    with replacing(link) as beside:
        beside.symlink_to(os.path.relpath(state, link.parent))


def prune_states(home: VigiePaths, use_case: str) -> None:
    """Remove all but the newest states and leftovers of killed runs. The current state stays."""
    current = home.current(use_case)
    newest = current.resolve().name
    states = sorted(path.name for path in home.states(use_case).iterdir())
    complete = [name for name in states if not name.startswith(_PARTIAL_PREFIX) and name <= newest]
    for name in set(states) - {newest, *complete[-MAX_STATES:]}:
        shutil.rmtree(home.states(use_case) / name)
    for beside in current.parent.glob(f".{use_case}.*"):
        beside.unlink()
