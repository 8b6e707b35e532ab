"""``./vigie new-use-case`` writes a use case that is one, and the guide makes another of it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.commands import new_use_case
from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.raw_files.reader import read_folder
from services.core.settings import CHECKOUT
from tests.installed_packages import forget, install
from tests.the_guide import code_lines, follow


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a project is written, and where installed packages are looked for."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    monkeypatch.undo()
    forget()


def _installed(project: Path) -> None:
    """As an installer would leave it."""
    described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    install(project, described["name"], described["entry-points"][use_case_registry.ENTRY_POINT_GROUP])
    forget()


def test_what_is_written_is_found_and_reads_what_its_simulator_writes(project: Path) -> None:
    CliRunner().invoke(app, ["new-use-case", "lamps", "--folder", str(project)], catch_exceptions=False)
    _installed(project)
    lamps = use_case_registry.get("lamps")
    lamps.simulator.write(project, seed=3, rows=200, start="2024-01-01", days=5)
    examples = lamps.raw.build_examples(read_folder("lamps", project))
    assert len(examples) == 200
    assert examples["value"].notna().all()


def test_the_command_says_how_to_go_on(project: Path) -> None:
    said = CliRunner().invoke(app, ["new-use-case", "lanterns", "--folder", str(project)]).stdout
    assert "./vigie run lanterns --source simulator" in said
    assert "test_lanterns.py" in said
    assert "docs/add-a-use-case.md" in said


def test_without_a_folder_it_is_written_where_the_platform_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_use_case, "CHECKOUT", tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path in new_use_case.write("torches", "Torches", None)}
    assert {f"services/use_cases/torches/{module}.py" for module in ("declaration", "features")} <= written
    assert {"tests/unit/use_cases/torches/test_torches.py", "docs/use-cases/torches.md"} <= written
    features = (tmp_path / "services/use_cases/torches/features.py").read_text()
    assert "from services.use_cases.torches.declaration import" in features


def test_nothing_that_is_there_is_written_over(project: Path) -> None:
    (project / "bulbs").mkdir()
    (project / "bulbs" / "raw.py").write_text("mine")
    with pytest.raises(VigieError, match=r"raw\.py is there already"):
        new_use_case.write("bulbs", "Bulbs", project)
    assert [path.name for path in project.rglob("*.*")] == ["raw.py"]


@pytest.mark.parametrize("name", ["Lamps", "1st", "all", "a-b", "wine_quality"])
def test_a_name_that_cannot_be_one_or_is_taken_is_refused(project: Path, name: str) -> None:
    with pytest.raises(VigieError):
        CliRunner().invoke(app, ["new-use-case", name, "--folder", str(project)], catch_exceptions=False)
    assert list(project.iterdir()) == []


def test_what_is_written_keeps_the_rules_of_the_house(project: Path) -> None:
    new_use_case.write("candles", "Candles", project)
    rules = ["--config", str(CHECKOUT / "pyproject.toml")]
    for command in (["check", "--ignore", "I001,S101,ARG001"], ["format", "--check"]):  # by folder in this checkout
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *rules, str(project)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_guide_makes_a_use_case_of_at_most_150_lines(project: Path) -> None:
    package = follow(project)
    assert code_lines(package) <= 150
    _installed(project)
    diabetes = use_case_registry.get("diabetes")
    assert use_case_registry.skipped() == ()
    diabetes.simulator.write(project, seed=3, rows=100, start="2024-01-01", days=5)
    assert len(diabetes.raw.build_examples(read_folder("diabetes", project))) == 100
