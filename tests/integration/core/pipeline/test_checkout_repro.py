"""``dvc repro`` as a person runs it, in a fresh checkout and offline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.core import params
from services.core.params import Ingest, Params, Simulate
from services.core.pipeline.workspace import write_params
from services.core.settings import CHECKOUT

TARGETS = ("preprocess@fire_response", "preprocess@road_accidents")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What git would hand out: tracked files, with less to simulate."""
    folder = tmp_path / "checkout"
    for name in ("services", "data", "models", ".dvc"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=_generated)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy2(CHECKOUT / name, folder / name)
    loaded = params.load_params(CHECKOUT)
    small = {
        name: entry.model_copy(update={"ingest": Ingest(simulate=Simulate(rows=1_500, days=30))})
        for name, entry in loaded.use_cases.items()
    }
    write_params(folder, Params(use_cases=small, gate=loaded.gate))
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", ".")
    return folder


def _generated(folder: str, names: list[str]) -> set[str]:
    kept = {".gitkeep", ".gitignore", "config"}
    if Path(folder).is_relative_to(CHECKOUT / "services"):
        return {name for name in names if name.startswith(".")}
    return {name for name in names if (Path(folder) / name).is_file() and name not in kept} | (
        {"tmp", "cache", "remote"} & set(names)
    )


def run(folder: Path, *command: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("VIGIE_", "PYTHONPATH"))}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment["DVC_SITE_CACHE_DIR"] = str(folder.parent / "site")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_repro_simulates_both_use_cases_skips_what_has_not_changed_and_the_remote_works(checkout: Path) -> None:
    run(checkout, "dvc", "repro", *TARGETS)
    for use_case in ("fire_response", "road_accidents"):
        manifest = json.loads((checkout / "data" / use_case / "examples" / "manifest.json").read_text())
        assert manifest["simulated"] is True
        assert manifest["rows"] > 1_000
    assert run(checkout, "git", "ls-files", "--others", "--exclude-standard").split() == ["dvc.lock"]

    again = run(checkout, "dvc", "repro", *TARGETS)
    assert again.count("didn't change, skipping") == 4

    run(checkout, "dvc", "push")
    before = (checkout / "data" / "fire_response" / "examples" / "examples.parquet").read_bytes()
    for lost in (".dvc/cache", "data/fire_response/examples", "data/road_accidents/raw"):
        shutil.rmtree(checkout / lost)
    run(checkout, "dvc", "pull", *TARGETS, *(name.replace("preprocess", "ingest") for name in TARGETS))
    assert (checkout / "data" / "fire_response" / "examples" / "examples.parquet").read_bytes() == before
