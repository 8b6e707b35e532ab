"""Tables of metrics, versions and decisions for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from services.cli.console import out

if TYPE_CHECKING:
    from services.core.registry.version import Version
    from services.training.gate.decision import Decision


def print_metrics(use_case: str, path: Path) -> None:
    """The candidate's metrics beside the declared baseline's."""
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
                number(value),
                "" if baseline is None else number(baseline),
                end_section=index == len(metrics) - 1,
            )
    out.print(table)


def print_decision(use_case: str, version: Version, decision: Decision) -> None:
    word = "[green]promoted[/]" if decision.promote else "[yellow]not promoted[/]"
    out.print(f"[bold]{use_case}[/] version {version.number}: {word}")
    for reason in decision.reasons:
        out.print(f"  {reason}", markup=False)


def print_versions(use_case: str, versions: Sequence[Version]) -> None:
    from services.core.registry.version import Tag  # noqa: PLC0415 - not every command needs it

    table = Table("version", "alias", "made", "data", "gate", "metrics", box=None, pad_edge=False)
    for version in versions:
        first = next(iter(version.metrics.items()), ("", {}))
        table.add_row(
            str(version.number),
            ", ".join(version.aliases),
            version.created,
            "simulated" if version.simulated else "real",
            version.tags.get(Tag.GATE, ""),
            f"{first[0]} " + ", ".join(f"{name} {number(value)}" for name, value in first[1].items()),
        )
    out.print(f"[bold]{use_case}[/]")
    out.print(table)


def number(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"
