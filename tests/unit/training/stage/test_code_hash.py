"""The hash of the training code in a bundle changes with what training computes with, and with nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import services
from services.core import use_case_registry
from services.core.settings import CHECKOUT
from services.core.steps import STAGE_CODE
from services.training.stage.bundle_extras import code_hash
from tests.toy.declaration import USE_CASE


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the platform's code, which is hashed in place of the real one."""
    shutil.copytree(CHECKOUT / "services", tmp_path / "services", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(services, "__file__", str(tmp_path / "services" / "__init__.py"))
    return tmp_path


@pytest.mark.parametrize("folder", STAGE_CODE["train"])
def test_code_that_training_computes_with_changes_the_hash(copied: Path, folder: str) -> None:
    before = code_hash(USE_CASE)
    (copied / folder / "another.py").write_text("")
    assert code_hash(USE_CASE) != before


@pytest.mark.parametrize("file", ["core/errors.py", "core/web/health.py", "training/gate/compare.py", "gateway/app.py"])
def test_other_code_does_not(copied: Path, file: str) -> None:
    before = code_hash(USE_CASE)
    path = copied / "services" / file
    path.write_text((path.read_text() if path.is_file() else "") + "# another line\n")
    assert code_hash(USE_CASE) == before


def test_use_cases_have_hashes_of_their_own() -> None:
    assert code_hash(use_case_registry.get("wine_quality")) != code_hash(use_case_registry.get("fire_response"))
