"""The table in ``docs/reliability.md``: what was broken, under which load, and what callers saw of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.load.steady import Summary

BEGIN, END = "<!-- written by tests/e2e: begin -->", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class Row:
    fault: str
    summary: Summary


def table(rows: list[Row]) -> str:
    """Markdown; one line for each fault."""
    lines = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by the suite itself; calls through the edge.",
        "",
        "| fault | calls | calls a second | failed calls | longest answer |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        summary = row.summary
        failed = sum(summary.failures.values())
        lines.append(
            f"| {row.fault} | {summary.calls} | {summary.rate:.0f} | {failed} | {summary.longest * 1_000:.0f} ms |"
        )
    return "\n".join(lines)


def write(document: Path, rows: list[Row]) -> None:
    """Put the table between the document's two marks."""
    text = document.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    document.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")
