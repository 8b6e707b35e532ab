"""DVC repeats a stage when code changes that shapes its output, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path, PurePosixPath

import grimp
import pytest
import yaml
from dvc.repo import Repo

from services.core import params
from services.core.paths import VigiePaths
from services.core.pipeline.workspace import create_workspace
from services.core.settings import CHECKOUT
from services.core.steps import STAGE_CODE

USE_CASE = "wine_quality"
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
CARRIERS = {"services.deprecated_names"} | {
    f"services.core.{name}"
    for name in (
        "auth.service_credentials",
        "background",
        "errors",
        "headers",
        "io",
        "logs",
        "params",  # its values are dependencies themselves
        "paths",
        "pipeline.stage",
        "settings",
        "steps",
        "use_case_registry",
    )
}
"""What only carries a stage: a change here changes no output."""

RERUNS = {
    "services/core/web/authentication.py": "",
    "services/core/errors.py": "",
    "services/core/settings.py": "",
    "services/core/jobs/job_process.py": "",
    "services/gateway/settings.py": "",
    "services/ingestion/service.py": "",
    "services/preprocessing/service.py": "",
    "services/training/service.py": "",
    "services/training/promotion.py": "",
    "services/training/gate/compare.py": "",
    "services/training/evaluation/plots.py": "evaluate",
    "services/training/stage/train.py": "train evaluate",
    "services/core/scoring/metrics.py": "train evaluate",
    "services/preprocessing/stage/profile.py": "preprocess",
    "services/core/raw_files/reader.py": "ingest preprocess",
    "services/core/contract/columns.py": "ingest preprocess train evaluate",
    "services/use_cases/wine_quality/raw.py": "ingest preprocess train evaluate",
    "services/use_cases/fire_response/raw.py": "",
    "data/wine_quality/landing/new.csv": "ingest",
    "data/wine_quality/examples/file": "train evaluate",
}
"""A file that changes -> the stages of the use case that read it and run again."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("services", cache_dir=None)


def _dependencies(stage: str) -> list[str]:
    declared: list[str] = yaml.safe_load((CHECKOUT / "dvc.yaml").read_text())["stages"][stage]["do"]["deps"]
    return declared


@pytest.mark.parametrize("stage", STAGE_CODE)
def test_code_dependencies_are_folders_and_those_that_the_bundle_hashes(stage: str) -> None:
    code = [dep for dep in _dependencies(stage) if dep.startswith("services/")]
    assert sorted(code) == sorted(STAGE_CODE[stage])
    assert [dep for dep in code if not (CHECKOUT / dep).is_dir()] == []
    assert "${item.code}" in _dependencies(stage)


@pytest.mark.parametrize("use_case", params.load_params(CHECKOUT).use_cases)
@pytest.mark.parametrize("stage", PROGRAMS)
def test_every_module_that_a_stage_loads_is_one_of_its_dependencies(
    graph: grimp.ImportGraph, stage: str, use_case: str
) -> None:
    covered = [PurePosixPath(folder) for folder in (*STAGE_CODE[stage], params.load_params(CHECKOUT).of(use_case).code)]
    loaded = set()
    for module in (PROGRAMS[stage], *(f"services.use_cases.{use_case}.{hook}" for hook in HOOKS[stage])):
        loaded |= {module, *graph.find_upstream_modules(module)}
    paths = {module: PurePosixPath(module.replace(".", "/")) for module in loaded - CARRIERS}
    uncovered = [
        module
        for module, path in paths.items()
        if not any(path.is_relative_to(folder) for folder in covered)
        and not (CHECKOUT / path / "__init__.py").is_file()
    ]
    assert sorted(uncovered) == []


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's workspace in which every stage is up to date."""
    folder = tmp_path_factory.mktemp("run")
    create_workspace(VigiePaths(folder / "home"), USE_CASE, folder / "workspace", CHECKOUT)
    workspace = folder / "workspace"
    stages = yaml.safe_load((workspace / "dvc.yaml").read_text())["stages"].values()
    for out in (out.replace("${key}", USE_CASE) for stage in stages for out in stage["do"]["outs"]):
        path = workspace / out / "file" if not PurePosixPath(out).suffix else workspace / out
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with chdir(workspace), Repo() as repo:
        for stage in STAGE_CODE:
            repo.commit(f"{stage}@{USE_CASE}", force=True)
    assert _stale(workspace) == set()
    return workspace


@pytest.fixture
def changed(workspace: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Append to a file of the workspace, for one test."""
    path = workspace / request.param
    before = path.read_bytes() if path.is_file() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((before or b"") + b"\n# another line\n")
    yield request.param
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)


def _stale(workspace: Path) -> set[str]:
    """Stages of the use case whose dependencies are not those of their last run."""
    with chdir(workspace), Repo() as repo:
        status = repo.status(targets=[f"{stage}@{USE_CASE}" for stage in STAGE_CODE])
    return {
        name.partition("@")[0]
        for name, entries in status.items()
        if any("changed deps" in entry for entry in entries if isinstance(entry, dict))
    }


@pytest.mark.parametrize(("changed", "stages"), RERUNS.items(), indirect=["changed"])
def test_a_change_runs_the_stages_again_that_compute_with_it_and_no_others(
    workspace: Path, changed: str, stages: str
) -> None:
    assert _stale(workspace) == set(stages.split()), changed


@pytest.mark.parametrize("changed", ["data/wine_quality/profile.json"], indirect=True)
def test_another_profile_trains_nothing(workspace: Path, changed: str) -> None:
    assert _stale(workspace) == set()


@pytest.mark.parametrize("changed", ["services/training/service.py"], indirect=True)
def test_a_dependency_on_a_whole_service_would_be_noticed(workspace: Path, changed: str) -> None:
    declared = workspace / "dvc.yaml"
    before = declared.read_text()
    wide = before.replace("services/training/stage", "services/training")
    declared.write_text(wide)
    try:
        assert _stale(workspace) == {"train", "evaluate"}
    finally:
        declared.write_text(before)
