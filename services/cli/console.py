"""What the commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.core.errors import VigieError

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def fail(error: VigieError) -> None:
    err.print("[bold red]Error:[/] ", end="")
    err.print(error.problem, markup=False)
    if error.expected:
        err.print(f"Expected: {error.expected}", markup=False)
    if error.action:
        err.print(f"What to do: {error.action}", markup=False)


def print_json(value: Any) -> None:
    """One JSON object on standard output and nothing else, for other programs."""
    out.print(json.dumps(value, ensure_ascii=False), markup=False)


@contextmanager
def step(title: str) -> Iterator[None]:
    """A running line with the elapsed time; on a terminal it moves, in a log it is one line."""
    started = time.perf_counter()
    if err.is_terminal:
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=err, transient=True
        ) as progress:
            progress.add_task(title)
            yield
    else:
        yield
    err.print(f"[green]✓[/] {title} [dim]({time.perf_counter() - started:.1f} s)[/]")
