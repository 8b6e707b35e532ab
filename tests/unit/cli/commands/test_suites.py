"""Which of pytest's runs ``./vigie test`` makes, and what counts as failed."""

from __future__ import annotations

from services.cli.commands.test import Result, failed_suites, suites


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
