"""What the continuous integration on GitHub runs, and with which rights."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.commands.test import NIGHTLY
from services.core.settings import CHECKOUT

WORKFLOWS = {path.stem: path for path in (CHECKOUT / ".github" / "workflows").glob("*.yml")}
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+){2}")


def jobs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOWS[name].read_text())["jobs"]
    return found


@pytest.mark.parametrize("path", WORKFLOWS.values(), ids=WORKFLOWS.keys())
def test_actions_are_named_by_commit_with_their_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text())
    assert used
    assert [line for line in used if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS.values(), ids=WORKFLOWS.keys())
def test_a_workflow_may_read_and_nothing_else_and_leaves_no_token(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    text = path.read_text()
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_everything_waits_for_lint_types_and_unit_tests() -> None:
    needed = {name: job.get("needs") for name, job in jobs("test").items()}
    assert needed == {
        "lint-types-unit": None,
        "integration": "lint-types-unit",
        "demo": "lint-types-unit",
        "end-to-end": "integration",
    }


def test_the_shards_leave_out_no_folder_of_tests() -> None:
    run = [shard["folders"] for shard in jobs("test")["integration"]["strategy"]["matrix"]["include"]]
    run += [suite["arguments"] for suite in jobs("test")["end-to-end"]["strategy"]["matrix"]["include"][:2]]
    run += [jobs("test")["lint-types-unit"]["steps"][-1]["run"]]
    named = {word for words in run for word in words.split()}
    folders = [path for parent in ("tests", "tests/integration") for path in (CHECKOUT / parent).iterdir()]
    with_tests = {path.relative_to(CHECKOUT).as_posix() for path in folders if any(path.rglob("test_*.py"))}
    assert {name for name in with_tests if name not in named and "." not in name} == {"tests/integration"}


def test_every_nightly_part_runs() -> None:
    assert jobs("nightly")["nightly"]["strategy"]["matrix"]["part"] == list(NIGHTLY)


def test_the_oldest_and_the_newest_python_are_those_that_the_project_says() -> None:
    oldest, newest = jobs("test")["lint-types-unit"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    minor = int(newest.partition(".")[2])
    assert project["requires-python"] == f">={oldest},<3.{minor + 1}"
