"""``./vigie test``: everything that has to hold before a change lands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import err
from services.core.settings import CHECKOUT

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lint", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
    ("import contracts", ("lint-imports",)),
    ("types", ("mypy", "services", "benchmarks")),
)


def run_tests(
    everything: Annotated[bool, typer.Option("--all", help="Also the suites that need Docker or a browser.")] = False,
    pytest_arguments: Annotated[
        list[str] | None, typer.Argument(help="Passed to pytest, after --.", metavar="[-- PYTEST_ARGUMENTS]")
    ] = None,
) -> None:
    """Lint, types, unit and integration tests: offline, on this machine's cores."""
    failed = [name for name, command in CHECKS if not _passes(name, command)]
    selection = [] if everything else ["-m", "not docker and not browser"]
    tests = ("pytest", "-q", "-n", "auto", "--dist", "loadgroup", *selection, *(pytest_arguments or []))
    if not _passes("tests", tests):
        failed.append("tests")
    if failed:
        err.print(f"[bold red]Failed:[/] {', '.join(failed)}")
        raise typer.Exit(1)


def _passes(name: str, command: tuple[str, ...]) -> bool:
    err.print(f"[bold]── {name}[/] [dim]{' '.join(command)}[/]")
    started = time.perf_counter()
    # The modules' own scripts stand beside this interpreter, whatever PATH says.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, check=False)
    err.print(f"[dim]{name}: {time.perf_counter() - started:.0f} s, exit {done.returncode}[/]")
    return done.returncode == 0
