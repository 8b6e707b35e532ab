"""Shared arguments of commands, and output: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.io import atomic_write
from services.core.settings import settings

if TYPE_CHECKING:
    from services.core.model_registry.version import RegisteredVersion
    from services.training.gate.decision import Decision


out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def fail(error: VigieError) -> None:
    """Print an error on one line: the problem, what was expected, what to do."""
    parts = [_one_line(error.problem)]
    parts += [f"Expected: {_one_line(error.expected)}"] if error.expected else []
    parts += [f"What to do: {_one_line(error.action)}"] if error.action else []
    err.print("[bold red]Error:[/] ", end="")
    err.print(" ".join(parts), markup=False)


def _one_line(text: str) -> str:
    """Join the lines of a list and end with a full stop."""
    joined = ""
    for line in (line.strip().removeprefix("- ") for line in text.strip().splitlines()):
        joined += line if not joined else f" {line}" if joined.endswith((":", ".", ";")) else f"; {line}"
    return joined if joined.endswith((".", "!", "?", ":")) else f"{joined}."


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object to standard output and nothing else, for other programs."""
    # Not with rich, which replaces :names: of emojis.
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=not unicode) + "\n")


def print_table(table: Table, to: Console | None = None) -> None:
    """Print a table as wide as the terminal at most: cells are folded, never cut."""
    for column in table.columns:
        column.overflow = "fold"
    (to or out).print(table, soft_wrap=False)


REMEMBERED_SECONDS = 5.0
"""Minimum duration that is worth an estimate."""


@contextmanager
def step(title: str, *, usual: float = 0.0) -> Iterator[None]:
    """Show a running step with elapsed time and estimate: animated on a terminal, a line at its start and end in a log.

    Args:
        title: what is done.
        usual: estimate in seconds before the step has run in this home; 0 if it is not worth one.
    """
    started, seconds = time.perf_counter(), _durations().get(title, usual)
    about = f"about {spoken(seconds)}" if seconds >= REMEMBERED_SECONDS else ""
    if err.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), TextColumn(about))
        with Progress(*columns, console=err, transient=True) as progress:
            progress.add_task(title)
            yield
    else:
        if about:
            err.print(f"[dim]…[/] {title} [dim]({about})[/]")
        yield
    took = time.perf_counter() - started
    remember_duration(title, took)
    err.print(f"[green]✓[/] {title} [dim]({took:.1f} s)[/]")


def announce(title: str, *, usual: float) -> None:
    """Print what begins and about how long it takes: as long as last time in this home, else ``usual`` seconds."""
    err.print(f"[dim]…[/] {title} [dim](about {spoken(_durations().get(title, usual))})[/]")


def spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def remember_duration(title: str, seconds: float) -> None:
    """Store how long a step took, for the next estimate."""
    if seconds < REMEMBERED_SECONDS or not _durations_file().parent.is_dir():
        return  # no home is made for it
    try:
        atomic_write(_durations_file(), json.dumps({**_durations(), title: round(seconds, 1)}, ensure_ascii=False))
    except OSError:
        return  # an estimate is not worth an error


def _durations() -> dict[str, float]:
    try:
        found: dict[str, float] = json.loads(_durations_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _durations_file() -> Path:
    return settings().home.logs / "durations.json"


def known_use_case(value: str) -> str:
    """Refuse an unknown use case, with the nearest name."""
    if value not in use_case_registry.names() and (near := get_close_matches(value, use_case_registry.names(), 1)):
        raise VigieError(f"There is no use case {value!r}. Did you mean {near[0]!r}?")
    use_case_registry.get(value)
    return value


def known_source(value: str) -> str:
    """Refuse a folder that is not there, before anything is loaded for it."""
    if value not in SOURCES and not Path(value).is_dir():
        raise VigieError(
            f"{value!r} is no source: there is no such folder.", expected=f"{', '.join(SOURCES)} or a folder"
        )
    return value


SOURCES = ("auto", "official", "simulator")


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
        metavar="|".join((*SOURCES, "DIR")),
        callback=known_source,
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


def print_metrics(report: Mapping[str, Any], to: Console = out) -> None:
    """Print a report's metrics, next to the baseline's if it has them."""
    simulated = " [yellow](simulated data)[/]" if report.get("simulated") else ""
    rows = "rows" if report.get("learned_rows") else "test rows"
    version = f" version {report['version']}" if str(report.get("version", "")).isdigit() else ""
    to.print(f"[bold]{report['use_case']}[/]{version}: {report['rows']:,} {rows}{simulated}")
    print_learned_rows(report, to)
    baselines = report.get("baseline", {})
    table = Table("target", "metric", "model", *(["baseline"] if baselines else []), box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for target, metrics in report["metrics"].items():
        for index, (metric, value) in enumerate(metrics.items()):
            baseline = baselines.get(target, {}).get(metric)
            row = [target if index == 0 else "", metric, format_number(value)]
            row += ["" if baseline is None else format_number(baseline)] if baselines else []
            table.add_row(*row, end_section=index == len(metrics) - 1)
    print_table(table, to)
    for name, reason in report.get("omitted", {}).items():
        to.print(f"  {name}: no value, {reason}", markup=False)


def print_learned_rows(report: Mapping[str, Any], to: Console) -> None:
    """Warn where the champion was scored on rows that it learned from, or where nobody can tell."""
    learned = report.get("learned_rows", 0)
    if learned is None:
        to.print(
            "[yellow]Whether the champion learned from these rows cannot be seen: its own data is gone.[/]",
            highlight=False,
        )
    elif learned:
        to.print(
            f"[yellow]The champion learned from {learned:,} of them: on new calls it does worse than this. "
            f"Its metrics on test rows: ./vigie models {report['use_case']}[/]",
            highlight=False,
        )


def print_decision(use_case: str, version: RegisteredVersion, decision: Decision, to: Console = out) -> None:
    word = "[green]promoted[/]" if decision.promote else "[yellow]not promoted[/]"
    to.print(f"[bold]{use_case}[/] version {version.number}: {word}")
    for reason in decision.reasons:
        to.print(f"  {reason}", markup=False)


def print_versions(use_case: str, versions: Sequence[RegisteredVersion]) -> None:
    """Print the versions, each with the first metric of every target."""
    from services.core.model_registry.version import Tag  # noqa: PLC0415 - not needed by every command

    table = Table("version", "alias", "made (UTC)", "gate", "metrics", box=None, pad_edge=False)
    targets = {target.name for target in use_case_registry.get(use_case).modelling.targets}
    for version in versions:
        firsts = [
            f"{target} {metric} {format_number(value)}"
            for target, metrics in version.metrics.items()
            if target in targets
            for metric, value in [*metrics.items()][:1]
        ]
        table.add_row(
            str(version.number),
            "\n".join(version.aliases),
            version.created[:16].replace("T", " ") + ("\nsimulated data" if version.simulated else "\nreal data"),
            version.tags.get(Tag.GATE, ""),
            "\n".join(firsts),
        )
    out.print(f"[bold]{use_case}[/]")
    print_table(table)


def format_number(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"
