"""Housekeeping removes what is old, tells what it removed, and with a dry run only tells."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.pipeline.versions import GarbageReport
from services.ingestion import retention as module
from services.ingestion.retention import remove_expired
from services.ingestion.service import IngestionSettings, validate_source

DAY = 86_400


class Versions:
    """A registry with one version for each use case."""

    def versions(self, name: str) -> list[Any]:
        return [SimpleNamespace(use_case=name)]

    def lock_file(self, version: Any) -> str:
        return f"lock of {version.use_case}"


class Away(Versions):
    def versions(self, _: str) -> list[Any]:
        raise VigieError("The registry does not answer.")


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    def collect(home: VigiePaths, kept: Any, *, dry_run: bool) -> GarbageReport:
        calls.append((sorted(kept), dry_run))
        return GarbageReport(3, 2, dry_run)

    monkeypatch.setattr(module, "collect_garbage", collect)
    return calls


def _aged(path: Path, days: float, content: str = "x" * 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


@pytest.fixture
def home(tmp_path: Path) -> VigiePaths:
    home = VigiePaths(tmp_path)
    for days in (1, 40):
        _aged(home.logs / "runs" / f"toy-{days}.log", days)
        _aged(home.root / "reports" / "toy" / f"{days}.html", days)
        folder = _aged(home.scratch / f"toy-{days}" / "file", days).parent
        os.utime(folder, (time.time() - days * DAY,) * 2)
    return home


def _files(home: VigiePaths) -> set[str]:
    return {path.name for path in home.root.rglob("*") if path.is_file()}


def _keep(home: VigiePaths, *, dry_run: bool, registry: Any = None) -> dict[str, Any]:
    known: Any = registry or Versions()
    return remove_expired(home, keep_days=30, dry_run=dry_run, progress=print, registry=known)


def test_a_dry_run_tells_and_removes_nothing(home: VigiePaths, collected: list[Any]) -> None:
    before = _files(home)
    told = _keep(home, dry_run=True)
    assert _files(home) == before
    assert told["run_logs"] == {"number": 1, "bytes": 10, "names": ["toy-40.log"]}
    assert (told["reports"]["names"], told["workspaces"]["names"]) == (["40.html"], ["toy-40"])
    assert (told["dry_run"], collected[0][1]) == (True, True)


def test_what_is_old_goes_and_what_is_young_stays(home: VigiePaths, collected: list[Any]) -> None:
    told = _keep(home, dry_run=False)
    assert {path.name for path in home.root.rglob("*") if "40" in path.name} == set()
    assert _files(home) == {"toy-1.log", "1.html", "file"}
    assert told["data"]["cache_objects"] == 3
    assert collected[0][0][0].startswith("lock of ")


def test_no_data_goes_while_the_registry_cannot_say_what_is_kept(home: VigiePaths, collected: list[Any]) -> None:
    with pytest.raises(VigieError, match="does not answer"):
        _keep(home, dry_run=False, registry=Away())
    assert collected == []


def test_jobs_read_the_drop_folder_and_folders_that_are_named_and_no_others(tmp_path: Path) -> None:
    home, named = VigiePaths(tmp_path / "home"), tmp_path / "named"
    chosen = IngestionSettings(ingestion_folders=f"{named}, {tmp_path / 'other'}")
    for word in ("auto", "official", "simulator"):
        assert validate_source(word, home, chosen) == word
    for allowed in (home.drop("toy"), named, named / "2026", tmp_path / "other" / "x"):
        assert validate_source(str(allowed), home, chosen) == str(allowed)
    (home.root / "drop").mkdir(parents=True)
    (home.root / "drop" / "link").symlink_to("/etc")
    for folder in ("/etc", str(home.root), f"{named}/../secret", f"{named}er", str(home.root / "drop" / "link")):
        with pytest.raises(VigieError, match="may not read"):
            validate_source(folder, home, chosen)
