"""Shared arguments of commands, and output: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.core import use_case_registry
from services.core.errors import VigieError

if TYPE_CHECKING:
    from services.core.model_registry.version import RegisteredVersion
    from services.training.gate.decision import Decision


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
    """Print one JSON object to standard output and nothing else, for other programs."""
    out.print(json.dumps(value, ensure_ascii=False), markup=False)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show a running step with elapsed time; animated on a terminal, one line in a log."""
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


def known_use_case(value: str) -> str:
    use_case_registry.get(value)
    return value


UseCaseName = Annotated[
    str,
    typer.Argument(
        metavar="USE_CASE",
        help="One of " + ", ".join(use_case_registry.names()) + ".",
        callback=known_use_case,
        autocompletion=use_case_registry.names,
    ),
]
Source = Annotated[
    str,
    typer.Option(
        "--source",
        help="auto (official download, else the drop folder, else the simulator), official, simulator, "
        "or a folder of raw files.",
        metavar="auto|official|simulator|DIR",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget the raw files that landed before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", help="A folder of raw official files to score the champion on.", exists=True, file_okay=False
    ),
]


def print_metrics(use_case: str, path: Path) -> None:
    """Print the candidate's metrics next to the baseline's."""
    report = json.loads(path.read_text(encoding="utf-8"))
    simulated = " [yellow](simulated data)[/]" if report.get("simulated") else ""
    out.print(f"[bold]{use_case}[/]: {report['rows']:,} test rows{simulated}")
    table = Table("target", "metric", "model", "baseline", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for target, metrics in report["metrics"].items():
        for index, (metric, value) in enumerate(metrics.items()):
            baseline = report["baseline"].get(target, {}).get(metric)
            table.add_row(
                target if index == 0 else "",
                metric,
                format_number(value),
                "" if baseline is None else format_number(baseline),
                end_section=index == len(metrics) - 1,
            )
    out.print(table)


def print_decision(use_case: str, version: RegisteredVersion, decision: Decision) -> None:
    word = "[green]promoted[/]" if decision.promote else "[yellow]not promoted[/]"
    out.print(f"[bold]{use_case}[/] version {version.number}: {word}")
    for reason in decision.reasons:
        out.print(f"  {reason}", markup=False)


def print_versions(use_case: str, versions: Sequence[RegisteredVersion]) -> None:
    from services.core.model_registry.version import Tag  # noqa: PLC0415 - not needed by every command

    table = Table("version", "alias", "made", "data", "gate", "metrics", box=None, pad_edge=False)
    for version in versions:
        first = next(iter(version.metrics.items()), ("", {}))
        table.add_row(
            str(version.number),
            ", ".join(version.aliases),
            version.created,
            "simulated" if version.simulated else "real",
            version.tags.get(Tag.GATE, ""),
            f"{first[0]} " + ", ".join(f"{name} {format_number(value)}" for name, value in first[1].items()),
        )
    out.print(f"[bold]{use_case}[/]")
    out.print(table)


def format_number(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"
