"""Scratch workspaces: where the platform runs DVC, never in the checkout.

A workspace holds frozen copies of the code and parameters, and the data and models of the last
published state as plain copies, so nothing that a stage writes can reach a published file or the
cache. All workspaces share one cache and one remote below ``VIGIE_HOME``.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import yaml

from services.core import params
from services.core.errors import VigieError
from services.core.home import Home
from services.core.usecases import registry

_CONFIG = """\
[core]
    no_scm = true
    analytics = false
    check_update = false
    remote = local
    site_cache_dir = {folder}/.dvc/tmp/site
[cache]
    dir = {cache}
    type = "reflink,copy"
['remote "local"']
    url = {remote}
"""
_KEPT_FILES = ("dvc.yaml", ".dvcignore")


def make_bare(home: Home, folder: Path) -> None:
    """An empty DVC workspace on the shared cache; the same as ``dvc init --no-scm`` and its
    configuration, without a second of start-up for each command.

    ``reflink,copy``: outputs never share their bytes with the cache, so writing to one is safe."""
    (folder / ".dvc" / "tmp").mkdir(parents=True)
    for shared in (home.dvc_cache, home.dvc_remote):
        shared.mkdir(parents=True, exist_ok=True)
    (folder / ".dvc" / "config").write_text(
        _CONFIG.format(folder=folder.resolve(), cache=home.dvc_cache.resolve(), remote=home.dvc_remote.resolve())
    )


def make_workspace(home: Home, use_case: str, folder: Path, root: Path) -> None:
    """A workspace for a run of ``use_case``: code, stages and parameters of ``root`` (the checkout) and
    the published state, if there is one.

    Raises:
        VigieError: ``root`` has no stages or parameters.
    """
    make_bare(home, folder)
    for name in _KEPT_FILES:
        if (root / name).is_file():
            shutil.copy2(root / name, folder / name)
    if not (folder / "dvc.yaml").is_file():
        raise VigieError(f"There is no dvc.yaml in {root}.", action="Run this from a complete checkout.")
    # compiled files come along: they save half a second for each stage, and DVC is told to ignore them
    shutil.copytree(root / "services", folder / "services", ignore=shutil.ignore_patterns(".*"))
    _copy_extra_package(use_case, folder)
    parameters = params.load(root)
    if use_case in parameters.use_cases:
        shutil.copy2(root / params.FILE, folder / params.FILE)
    else:
        write_params(folder, parameters.including(use_case))
    state = home.current(use_case)
    if state.exists():
        seed(state.resolve(), use_case, folder)
    for impure in ("landing", "outcomes"):  # what stages depend on and none makes
        (folder / "data" / use_case / impure).mkdir(parents=True, exist_ok=True)


def write_params(folder: Path, parameters: params.Params) -> None:
    """Replace a workspace's ``params.yaml``, for runs with parameters of their own."""
    content = parameters.model_dump(mode="json")
    (folder / params.FILE).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def seed(state: Path, use_case: str, folder: Path) -> None:
    """Fill a workspace with a published state: landed files are linked, everything else is copied."""
    for kind in ("data", "models"):
        source = state / kind / use_case
        if source.is_dir():
            shutil.copytree(source, folder / kind / use_case, ignore=shutil.ignore_patterns("landing"))
    link_landing(state, use_case, folder)
    if (state / "dvc.lock").is_file():
        shutil.copy2(state / "dvc.lock", folder / "dvc.lock")


def link_landing(state: Path, use_case: str, folder: Path) -> None:
    """Landed files are never written to, so both names may share one file; copied where a disk cannot."""
    landing = folder / "data" / use_case / "landing"
    landing.mkdir(parents=True, exist_ok=True)
    for path in (state / "data" / use_case / "landing").glob("*"):
        try:
            (landing / path.name).hardlink_to(path)
        except OSError:
            shutil.copy2(path, landing / path.name)


def _copy_extra_package(use_case: str, folder: Path) -> None:
    """The package of a use case that ``VIGIE_EXTRA_USE_CASES`` names lives outside ``services``."""
    name = registry.packages()[use_case]
    target = folder.joinpath(*name.split("."))
    if target.exists():
        return
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise VigieError(
            f"The package {name} of the use case {use_case} cannot be found.", action="See VIGIE_EXTRA_USE_CASES."
        )
    shutil.copytree(Path(spec.submodule_search_locations[0]), target)
