"""Packages that are really installed, for tests of what the platform finds: a folder on ``sys.path`` with the package
and what an installer leaves beside it, read by ``importlib.metadata`` as anything else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from services.core import use_case_registry
from services.core.settings import CHECKOUT


def install(
    folder: Path, distribution: str, entries: Mapping[str, str], group: str = use_case_registry.ENTRY_POINT_GROUP
) -> None:
    """The metadata of a distribution with these entry points (name -> import path)."""
    metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{name} = {package}" for name, package in entries.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")


def toy_called(name: str, folder: Path) -> Path:
    """The tests' tiny use case as a package of its own, which knows nothing of the tests. Returns its folder."""
    package = folder / name
    package.mkdir(parents=True)
    for module in (CHECKOUT / "tests" / "toy").glob("*.py"):
        if module.stem in {"__init__", "declaration", "features", "raw", "simulator"}:
            text = module.read_text().replace("tests.toy", name).replace('name="toy"', f'name="{name}"')
            (package / module.name).write_text(text)
    return package


def forget() -> None:
    """Let the registry look again."""
    for cached in (use_case_registry.packages, use_case_registry.get, use_case_registry._validated):
        cached.cache_clear()
