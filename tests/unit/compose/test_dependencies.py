"""A declared dependency is one that something imports; exceptions and their reasons stand in pyproject.toml."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from services.cli.commands.test import CHECKS
from services.core.settings import CHECKOUT

USE_CASES = "services.use_cases"
PARTS = {
    "serving": ("services.prediction", "services.gateway", "services.core.database"),
    "ml": (
        "services.ingestion",
        "services.preprocessing",
        "services.training",
        "services.drift",
        "services.simulator",
        "services.registry",
        "services.core.database",
    ),
    "dashboard": ("services.dashboard",),
    "cli": ("services.cli",),
}
"""What runs on each set of dependencies. Use cases, which are found by name, run on all of them."""
WITHOUT_IMPORT = {
    "psycopg",  # the driver that database URLs name; tests import it
}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("services", include_external_packages=True, cache_dir=None)


def command() -> tuple[str, ...]:
    return dict(CHECKS)["dependencies"]


def test_a_dependency_that_nothing_imports_fails_the_check(tmp_path: Path) -> None:
    declared = (CHECKOUT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(declared.replace('    "filelock', '    "pluggy>=1",\n    "filelock', 1))
    for folder in command()[1:]:
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("node_modules", "*.pyc"))
    found = check(tmp_path)
    assert found.returncode == 1
    assert "DEP002 'pluggy' defined as a dependency but not used" in found.stderr
    assert found.stderr.count("DEP0") == 1
    (tmp_path / "services" / "probe.py").write_text("import pluggy\n")
    assert check(tmp_path).returncode == 0


def test_what_is_excused_is_imported_nowhere(project: dict[str, Any]) -> None:
    found = check(CHECKOUT, "--per-rule-ignores", "DEP002=pip")
    unused = set(re.findall(r"DEP002 '(.+?)' defined", found.stderr))
    assert unused == set(project["tool"]["deptry"]["per_rule_ignores"]["DEP002"]), "take what is imported now out"


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program, *folders = command()
    path = str(Path(sys.executable).with_name(program))
    line = [path, "--no-ansi", *options, *folders]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("extra", PARTS)
def test_each_set_declares_what_its_own_parts_import(
    extra: str, project: dict[str, Any], graph: grimp.ImportGraph
) -> None:
    excused = {*project["tool"]["deptry"]["per_rule_ignores"]["DEP002"], *WITHOUT_IMPORT}
    modules = {module for part in (USE_CASES, *PARTS[extra]) for module in reached(graph, part)}
    names = {name: set(found) for name, found in metadata.packages_distributions().items()}
    used = {canonicalize_name(name) for module in modules for name in names.get(module, ())}
    unused = sorted(name for name in declared(project["project"], extra) if name not in used | excused)
    assert unused == []


def reached(graph: grimp.ImportGraph, part: str) -> set[str]:
    """Third-party modules that this package imports, itself or through others of ours."""
    return {module for module in graph.find_upstream_modules(part, as_package=True) if graph.is_module_squashed(module)}


def declared(project: dict[str, Any], extra: str) -> set[str]:
    """Names of the distributions that the extra and the extras within it ask for."""
    names: set[str] = set()
    for requirement in map(Requirement, project["optional-dependencies"][extra]):
        if requirement.name == project["name"]:
            names.update(*(declared(project, inner) for inner in requirement.extras))
        else:
            names.add(requirement.name)
    return names
