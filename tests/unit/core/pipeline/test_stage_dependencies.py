"""DVC repeats a stage when its code changes, so all code that shapes its output is a dependency."""

from __future__ import annotations

from pathlib import PurePosixPath

import grimp
import pytest
import yaml

from services.core import params
from services.core.settings import CHECKOUT

PROGRAMS = {
    "ingest": "services.ingestion.stage.__main__",
    "preprocess": "services.preprocessing.stage.__main__",
    "train": "services.training.stage.__main__",
    "evaluate": "services.training.evaluation.__main__",
}
HOOKS = {
    "ingest": ("declaration", "raw", "simulator"),
    "preprocess": ("declaration", "raw"),
    "train": ("declaration", "features"),
    "evaluate": ("declaration", "features"),
}
"""Modules of a use case that each stage calls."""
SHAPES_NO_OUTPUT = {
    "services",
    "services.core",
    "services.core.background",
    "services.core.bundle.manifest",  # of the first stages; the others depend on its whole package
    "services.core.errors",
    "services.core.paths",
    "services.core.io",
    "services.core.logs",
    "services.core.params",  # the values are dependencies themselves
    "services.core.pipeline.stage",
    "services.core.settings",
    "services.core.steps",
    "services.core.contract",
    "services.core.contract.fields",
    "services.core.use_case_registry",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("services", cache_dir=None)


@pytest.mark.parametrize("use_case", params.load_params(CHECKOUT).use_cases)
@pytest.mark.parametrize("stage", PROGRAMS)
def test_every_module_that_a_stage_loads_is_one_of_its_dependencies(
    graph: grimp.ImportGraph, stage: str, use_case: str
) -> None:
    code = params.load_params(CHECKOUT).of(use_case).code
    declared = yaml.safe_load((CHECKOUT / "dvc.yaml").read_text())["stages"][stage]["do"]["deps"]
    covered = [
        PurePosixPath(dep.replace("${item.code}", code)).with_suffix("")
        for dep in declared
        if "services" in dep or "code" in dep
    ]
    package = code.replace("/", ".")
    loaded = {PROGRAMS[stage], *graph.find_upstream_modules(PROGRAMS[stage])}
    for hook in HOOKS[stage]:
        loaded |= {f"{package}.{hook}", *graph.find_upstream_modules(f"{package}.{hook}")}
    uncovered = []
    for module in loaded - SHAPES_NO_OUTPUT:
        path = PurePosixPath(module.replace(".", "/"))
        if (
            not any(path == dep or dep in path.parents for dep in covered)
            and not (CHECKOUT / path / "__init__.py").is_file()
        ):
            uncovered.append(module)
    assert sorted(uncovered) == []
