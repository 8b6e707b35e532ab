"""``./vigie test``: lint, types, import contracts and the test suites."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock

from services.cli.console import err
from services.core.errors import VigieError
from services.core.settings import CHECKOUT

Command = tuple[str, Sequence[str]]
"""Name and command line of a run."""

CHECKS: tuple[Command, ...] = (
    ("types", ("mypy", "services", "benchmarks", "airflow", "monitoring")),
    ("lint", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
    ("import contracts", ("lint-imports",)),
    ("dependencies", ("deptry", "services", "benchmarks", "airflow", "monitoring", "tests")),
)
PARALLEL = ("-n", "auto", "--dist", "loadscope")
PARALLEL_OVERSUBSCRIBED = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "loadscope")
"""One process more than cores: for a good third of the time these tests wait for subprocesses."""
PYTEST = ("pytest", "-q", "--durations=12", "--durations-min=10")
"""Every run reports its slowest tests."""
DEFAULT_MARKERS = ("-m", "not docker and not browser and not slow")
BROWSER, END_TO_END = "browser", "end to end"
SEPARATE_SUITES = {
    # Playwright leaves its event loop running in the process: later tests cannot start another.
    BROWSER: ("tests/integration/dashboard", PARALLEL),
    # One stack for all of its tests, in order: never in parallel.
    END_TO_END: ("tests/e2e", ("-n", "0")),
}
"""Suites with a run of their own with ``--all``: folder and options."""
IMAGES: Command = ("images", ("nice", sys.executable, "-m", "tests.e2e.images"))
"""Built in parallel to checks and tests: most of it waits for downloads and disk."""


@dataclass(frozen=True, slots=True)
class NightlyPart:
    """One part of the nightly suite."""

    commands: Sequence[Command]
    """Run in order; the first failure ends the part."""
    environment: Mapping[str, str] = field(default_factory=dict)


_OTHER_TESTS = tuple(f"--ignore={folder}" for folder, _ in SEPARATE_SUITES.values())
_COVERED = (*PYTEST, "--cov", "--cov-append", "--cov-report=", "-m", "not docker")
NIGHTLY: Mapping[str, NightlyPart] = {
    "coverage": NightlyPart(
        (
            ("coverage: begin", ("coverage", "erase")),
            ("coverage: tests", (*_COVERED, *PARALLEL_OVERSUBSCRIBED, *_OTHER_TESTS)),
            ("coverage: browser", (*_COVERED, *PARALLEL, SEPARATE_SUITES[BROWSER][0])),
            ("coverage: limits", (sys.executable, "-m", "tests.coverage_limits")),
        )
    ),
    "mutations": NightlyPart(
        (("mutated files", (*PYTEST, *PARALLEL, "tests/unit/core/raw_files/test_mutations.py")),),
        {"VIGIE_MUTATIONS": "2000"},
    ),
    "closed-loop": NightlyPart(
        (("closed loop", (*PYTEST, "-n", "0", "-s", "tests/e2e/test_closed_loop.py")),),
        {"VIGIE_CLOSED_LOOP": os.environ.get("VIGIE_CLOSED_LOOP") or tempfile.gettempdir()},
    ),
}
"""Suites that take too long for every change, by name."""
SHARED_FOLDER = "VIGIE_TEST_SHARED_FOLDER"
"""Environment variable of suites that run in parallel: the folder through which they synchronise."""
STACK_IS_UP, BROWSER_LOCK = "stack-is-up", "browser.lock"
NO_TESTS = 5
"""pytest's exit code if no test was selected."""


@dataclass(frozen=True, slots=True)
class Result:
    """Exit code, duration and output of one run."""

    name: str
    code: int
    seconds: float
    output: bytes = b""


def run_tests(
    everything: Annotated[bool, typer.Option("--all", help="Also what needs Docker, a browser or minutes.")] = False,
    nightly: Annotated[
        bool, typer.Option("--nightly", help=f"What takes long, all or the named parts: {', '.join(NIGHTLY)}.")
    ] = False,
    checks: Annotated[bool, typer.Option(help="Before the tests: lint, types, import contracts, dependencies.")] = True,
    pytest_arguments: Annotated[
        list[str] | None, typer.Argument(help="Passed to pytest, after --.", metavar="[PART] [-- PYTEST_ARGUMENTS]")
    ] = None,
) -> None:
    """Lint, types, unit and integration tests: offline, on this machine's cores."""
    arguments = pytest_arguments or []
    checked: list[Result] = []
    if nightly:
        tested = run_nightly(arguments)
    else:
        checked, tested = _run_suites(arguments, everything=everything, checks=checks_for(arguments) if checks else ())
    for result in (*checked, *tested):
        err.print(f"{_result_mark(result)} {result.name} [dim]{result.seconds:.0f} s[/]")
    failed = [result.name for result in checked if result.code] + failed_suites(tested)
    if failed:
        err.print(f"[bold red]Failed:[/] {', '.join(failed)}")
        raise typer.Exit(1)


def checks_for(arguments: Sequence[str]) -> Sequence[Command]:
    """The checks of a run: of the whole checkout or, where files are named, of these and of the use cases that come
    from elsewhere (``VIGIE_EXTRA_USE_CASES``)."""
    named = [path for argument in arguments if (CHECKOUT / (path := argument.partition("::")[0])).exists()]
    if not named:
        return CHECKS
    extra = [name.strip() for name in os.environ.get("VIGIE_EXTRA_USE_CASES", "").split(",") if name.strip()]
    specs = [importlib.util.find_spec(name) for name in extra]
    packages = [place for spec in specs if spec is not None for place in spec.submodule_search_locations or ()]
    checks = (
        ("lint", ("ruff", "check", *packages, *named)),
        ("format", ("ruff", "format", "--check", *packages, *named)),
    )
    return (("types", ("mypy", *packages)), *checks) if packages else checks


def run_nightly(parts: Sequence[str]) -> list[Result]:
    """Run the named parts, or all.

    Raises:
        VigieError: unknown part.
    """
    if unknown := [part for part in parts if part not in NIGHTLY]:
        raise VigieError(
            f"./vigie test --nightly has no part {', '.join(unknown)}.",
            expected=", ".join(NIGHTLY),
            action="Name one of these, or none for all.",
        )
    results = []
    for part in (NIGHTLY[name] for name in parts or NIGHTLY):
        for command in part.commands:
            results.append(_run(command, environment=part.environment))
            if results[-1].code:
                break
    return results


def suites(arguments: Sequence[str], *, everything: bool) -> list[Command]:
    """Name and command of each pytest run. Arguments that name files select the suites."""
    if not everything:
        return [("tests", [*PYTEST, *PARALLEL_OVERSUBSCRIBED, *DEFAULT_MARKERS, *arguments])]
    named = [argument for argument in arguments if (CHECKOUT / argument.partition("::")[0]).exists()]
    options = [argument for argument in arguments if argument not in named]
    of_suite = {
        name: [path for path in named if path.startswith(folder)] for name, (folder, _) in SEPARATE_SUITES.items()
    }
    others = [path for path in named if not any(path in paths for paths in of_suite.values())]
    found: list[Command] = []
    if others or not named:
        ignored = [f"--ignore={folder}" for folder, _ in SEPARATE_SUITES.values()]
        found.append(("tests", [*PYTEST, *PARALLEL_OVERSUBSCRIBED, *ignored, *others, *options]))
    for name, (folder, how) in SEPARATE_SUITES.items():
        if of_suite[name] or not named:
            found.append((name, [*PYTEST, *how, *(of_suite[name] or [folder]), *options]))
    return found


def failed_suites(results: Sequence[Result]) -> list[str]:
    """Names of the failed runs. If a selection of tests leaves one of two runs empty, that is no failure."""
    ran = [result for result in results if result.code != NO_TESTS]
    return [result.name for result in (ran or results) if result.code]


def _run_suites(
    arguments: Sequence[str], *, everything: bool, checks: Sequence[Command]
) -> tuple[list[Result], list[Result]]:
    """Run the checks and the pytest runs; returns the results of both."""
    chosen = suites(arguments, everything=everything)
    separate = [command for command in chosen if command[0] in SEPARATE_SUITES]
    with ThreadPoolExecutor(1) as pool:
        images = pool.submit(_run, IMAGES, shown=False) if len(separate) > 1 else None
        checked = _run_checks(checks)
        tested = [_run(command) for command in chosen if command not in separate]
        if images:
            checked.append(_shown(images.result()))
    tested += _side_by_side(*separate) if len(separate) > 1 else [_run(command) for command in separate]
    return checked, tested


def _side_by_side(browser: Command, end_to_end: Command) -> list[Result]:
    """Run both suites in parallel: the browser suite starts when the stack is up, since Chromium aborts loading when a
    container's network changes, and stack tests that need a quiet machine wait for its end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shared = {SHARED_FOLDER: str(folder)}
        pool = stack.enter_context(ThreadPoolExecutor(1))
        with FileLock(folder / BROWSER_LOCK):
            platform = pool.submit(_run, end_to_end, environment=shared)
            while not (folder / STACK_IS_UP).exists() and not platform.done():
                time.sleep(0.5)
            pages = _run(browser, shown=False)
        _shown(pages, always=True)
        return [pages, platform.result()]


def _run_checks(checks: Sequence[Command]) -> list[Result]:
    """Run the checks in parallel: the slowest, mypy, uses one core."""
    with ThreadPoolExecutor(2) as pool:
        return [_shown(result) for result in pool.map(lambda check: _run(check, shown=False), checks)]


def _run(command: Command, *, shown: bool = True, environment: Mapping[str, str] | None = None) -> Result:
    name, line = command
    err.print(f"[bold]── {name}[/] [dim]{' '.join(line)}[/]")
    started = time.perf_counter()
    # The packages' scripts are next to this interpreter, regardless of PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        line,
        cwd=CHECKOUT,
        env={**os.environ, "PATH": path, **(environment or {})},
        check=False,
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
    )
    return Result(name, done.returncode, time.perf_counter() - started, done.stdout or b"")


def _shown(result: Result, *, always: bool = False) -> Result:
    """Print the output of a failed run, if it was not shown while it ran."""
    if result.output and (result.code or always):
        err.print(f"[bold]── {result.name}[/]")
        sys.stderr.write(result.output.decode(errors="replace"))
    return result


def _result_mark(result: Result) -> str:
    return "[green]✓[/]" if result.code == 0 else f"[red]✗[/] (exit {result.code})"
