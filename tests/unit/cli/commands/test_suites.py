"""Which of pytest's runs ``./vigie test`` makes, and what counts as failed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from services.cli.commands import test as command
from services.cli.commands.test import (
    BROWSER_LOCK,
    CHECKS,
    NIGHTLY,
    SHARED_FOLDER,
    STACK_IS_UP,
    NightlyPart,
    Result,
    checks_for,
    failed_suites,
    run_nightly,
    suites,
)
from services.core.errors import VigieError
from services.core.settings import CHECKOUT


def commands(*arguments: str, everything: bool = False) -> dict[str, list[str]]:
    return dict(suites(arguments, everything=everything))


def test_by_default_nothing_runs_that_needs_docker_or_a_browser() -> None:
    (tests,) = commands("-k", "gate").values()
    assert tests[tests.index("-m") + 1] == "not docker and not browser and not slow"
    assert tests[-2:] == ["-k", "gate"]


def test_all_runs_the_stack_after_the_rest_and_one_test_at_a_time() -> None:
    found = commands(everything=True)
    assert list(found) == ["tests", "browser", "end to end"]
    assert "--ignore=tests/e2e" in found["tests"]
    assert "-m" not in found["tests"]
    assert found["end to end"][found["end to end"].index("-n") + 1] == "0"
    assert "tests/e2e" in found["end to end"]


def test_what_a_browser_leaves_in_its_process_meets_no_other_tests() -> None:
    found = commands(everything=True)
    assert "--ignore=tests/integration/dashboard" in found["tests"]
    assert found["browser"][-1] == "tests/integration/dashboard"
    assert list(commands("tests/integration/dashboard/test_call.py", everything=True)) == ["browser"]


def test_files_that_are_named_choose_the_run() -> None:
    assert list(commands("tests/unit", "-x", everything=True)) == ["tests"]
    only = commands("tests/e2e/conftest.py::test_x", "-x", everything=True)
    assert list(only) == ["end to end"]
    assert "tests/e2e" not in only["end to end"]
    assert only["end to end"][-1] == "-x"
    both = commands("tests/unit", "tests/e2e", "-x", everything=True)
    assert "tests/e2e" not in both["tests"]
    assert "tests/unit" not in both["end to end"]


def test_a_choice_that_leaves_nothing_to_one_run_is_no_failure_but_to_all_it_is() -> None:
    passed, failed, nothing = (Result(str(code), code, 1.0) for code in (0, 1, 5))
    assert failed_suites([passed, nothing]) == []
    assert failed_suites([nothing, failed]) == ["1"]
    assert failed_suites([nothing]) == ["5"]
    assert failed_suites([nothing, nothing]) == ["5", "5"]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", f"import os, pathlib, sys, time, filelock\n{code}"]


FOLDER = f"folder = pathlib.Path(os.environ.get({SHARED_FOLDER!r}, {os.devnull!r}))"


def test_browser_waits_for_the_stack_and_quiet_tests_of_the_stack_wait_for_the_browser(tmp_path: Path) -> None:
    ended = tmp_path / "browser-ended"
    stack = f"""{FOLDER}
assert not (folder / {STACK_IS_UP!r}).exists()
(folder / {STACK_IS_UP!r}).touch()
with filelock.FileLock(folder / {BROWSER_LOCK!r}, timeout=60):
    sys.exit(0 if pathlib.Path({str(ended)!r}).exists() else 1)"""
    pages = f"time.sleep(0.3); pathlib.Path({str(ended)!r}).touch()"
    results = command._side_by_side(("browser", python(pages)), ("end to end", python(stack)))
    assert [(result.name, result.code) for result in results] == [("browser", 0), ("end to end", 0)]


def test_a_stack_that_does_not_start_keeps_the_browser_from_waiting_for_ever() -> None:
    results = command._side_by_side(("browser", python("")), ("end to end", python("sys.exit(3)")))
    assert [result.code for result in results] == [0, 3]


def test_a_nightly_part_ends_with_its_first_failure_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {
        "one": NightlyPart((("fails", python("sys.exit(1)")), ("after it", python("")))),
        "two": NightlyPart((("sees it", python("sys.exit(os.environ['PART'] != 'two')")),), {"PART": "two"}),
    }
    monkeypatch.setattr(command, "NIGHTLY", table)
    assert [(result.name, result.code) for result in run_nightly([])] == [("fails", 1), ("sees it", 0)]
    assert [result.name for result in run_nightly(["two"])] == ["sees it"]


def test_an_unknown_nightly_part_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(VigieError, match="coverage, mutations, closed-loop"):
        run_nightly(["coverag"])


def test_every_nightly_part_is_explained_to_contributors() -> None:
    explained = (CHECKOUT / "CONTRIBUTING.md").read_text()
    assert [part for part in NIGHTLY if f"`{part}`" not in explained] == []


def test_where_files_are_named_only_they_and_own_use_cases_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks_for(["-x"]) == CHECKS
    assert dict(checks_for(["tests/unit/cli", "-x"])) == {
        "lint": ("ruff", "check", "tests/unit/cli"),
        "format": ("ruff", "format", "--check", "tests/unit/cli"),
    }
    monkeypatch.setenv("VIGIE_EXTRA_USE_CASES", "tests.toy")
    checked = dict(checks_for(["tests/unit/cli/commands/test_suites.py::test_x"]))
    assert checked["types"] == ("mypy", str(CHECKOUT / "tests" / "toy"))
