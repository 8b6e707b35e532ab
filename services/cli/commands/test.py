"""``./vigie test``: lint, types, import contracts and the test suites."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import err
from services.core.settings import CHECKOUT

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("types", ("mypy", "services", "benchmarks", "airflow", "monitoring")),
    ("lint", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
    ("import contracts", ("lint-imports",)),
    ("dependencies", ("deptry", "services", "benchmarks", "airflow", "monitoring", "tests")),
)
PARALLEL = ("-n", "auto", "--dist", "loadscope")
PARALLEL_OVERSUBSCRIBED = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "loadscope")
"""One process more than cores: a good third of the time these tests wait for processes that they started."""
PYTEST = ("pytest", "-q", "--durations=12", "--durations-min=10")
"""Every run says at its end where its time went."""
SEPARATE_SUITES = {
    # Playwright leaves its event loop running in the process: what comes after it there cannot start one.
    "browser": ("tests/integration/dashboard", PARALLEL),
    # One stack for all of its tests, in order: never side by side.
    "end to end": ("tests/e2e", ("-n", "0")),
}
"""Suites that have a run of their own with ``--all``: their folder and options."""
NO_TESTS = 5
"""pytest's exit code where nothing was selected."""


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    code: int
    seconds: float
    output: bytes = b""


def run_tests(
    everything: Annotated[bool, typer.Option("--all", help="Also what needs Docker, a browser or minutes.")] = False,
    pytest_arguments: Annotated[
        list[str] | None, typer.Argument(help="Passed to pytest, after --.", metavar="[-- PYTEST_ARGUMENTS]")
    ] = None,
) -> None:
    """Lint, types, unit and integration tests: offline, on this machine's cores."""
    results = _checks()
    selections = suites(pytest_arguments or [], everything=everything)
    tested = [_run(name, command) for name, command in selections]
    for result in (*results, *tested):
        err.print(f"{_result_mark(result)} {result.name} [dim]{result.seconds:.0f} s[/]")
    failed = [result.name for result in results if result.code] + failed_suites(tested)
    if failed:
        err.print(f"[bold red]Failed:[/] {', '.join(failed)}")
        raise typer.Exit(1)


def suites(arguments: Sequence[str], *, everything: bool) -> list[tuple[str, list[str]]]:
    """Name and command of each of pytest's runs. Arguments that name files choose among the suites."""
    if not everything:
        return [
            ("tests", [*PYTEST, *PARALLEL_OVERSUBSCRIBED, "-m", "not docker and not browser and not slow", *arguments])
        ]
    named = [argument for argument in arguments if (CHECKOUT / argument.partition("::")[0]).exists()]
    options = [argument for argument in arguments if argument not in named]
    of_suite = {
        name: [path for path in named if path.startswith(folder)] for name, (folder, _) in SEPARATE_SUITES.items()
    }
    others = [path for path in named if not any(path in paths for paths in of_suite.values())]
    found = []
    if others or not named:
        ignored = [f"--ignore={folder}" for folder, _ in SEPARATE_SUITES.values()]
        found.append(("tests", [*PYTEST, *PARALLEL_OVERSUBSCRIBED, *ignored, *others, *options]))
    for name, (folder, how) in SEPARATE_SUITES.items():
        if of_suite[name] or not named:
            found.append((name, [*PYTEST, *how, *(of_suite[name] or [folder]), *options]))
    return found


def failed_suites(results: Sequence[Result]) -> list[str]:
    """Which runs failed. Where a choice of tests leaves nothing to one of two runs, that is no failure."""
    ran = [result for result in results if result.code != NO_TESTS]
    return [result.name for result in (ran or results) if result.code]


def _checks() -> list[Result]:
    """Side by side: the slowest, mypy, keeps one core busy."""
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda check: _run(*check, shown=False), CHECKS))
    for result in results:
        if result.code:
            err.print(f"[bold]── {result.name}[/]")
            sys.stderr.write(result.output.decode(errors="replace"))
    return results


def _run(name: str, command: Sequence[str], *, shown: bool = True) -> Result:
    err.print(f"[bold]── {name}[/] [dim]{' '.join(command)}[/]")
    started = time.perf_counter()
    # The modules' own scripts stand beside this interpreter, whatever PATH says.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, "PATH": path},
        check=False,
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
    )
    return Result(name, done.returncode, time.perf_counter() - started, done.stdout or b"")


def _result_mark(result: Result) -> str:
    return "[green]✓[/]" if result.code == 0 else f"[red]✗[/] (exit {result.code})"
