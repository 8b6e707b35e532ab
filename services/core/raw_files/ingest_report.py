"""The result of an ingestion, and what people should know of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from services.core.contract.use_case import Finding
from services.core.errors import VigieError
from services.core.raw_files.consistency import Doubt, JoinReport
from services.core.raw_files.table_detection import NOT_MEANT

_MAX_SHOWN = 10
MAX_BAD_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class FileReport:
    """Number of accepted and rejected rows of one sheet."""

    file: str
    table: str
    rows: int
    quarantined: int
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class IngestResult:
    """Merged tables, rejected rows and a report per file."""

    max_bad_share: float = MAX_BAD_SHARE
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    quarantine: list[pd.DataFrame] = field(default_factory=list)
    """Frames with ``file``, ``table``, ``line``, ``reason``, ``column`` and ``value`` (blank if no single value is
    the reason) and ``row``, the row as a JSON object."""
    reports: list[FileReport] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    """File that was left aside -> reason."""
    joins: list[JoinReport] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    files: dict[str, list[tuple[str, pd.DataFrame]]] = field(default_factory=dict)
    """Table -> (file, its rows), oldest first."""
    notes: list[str] = field(default_factory=list)
    """What follows from tables that are absent."""
    recognised: bool = False
    """Whether any file has the header of a table, or its name where it is an image."""
    refusals: list[VigieError] = field(default_factory=list)
    """Why the files would be refused, if all of it is to be known (``collect``)."""


def report_lines(result: IngestResult) -> list[str]:
    """What people should know of an ingestion, file by file: files left aside, what was decided about a file and what
    was lost, rows without a counterpart, values that a person confirmed."""
    lines = list(result.notes)
    lines += [f"{name}: left aside: {why}" for name, why in first_ignored(result.ignored).items()]
    for report in result.reports:
        if report.quarantined:
            lines.append(f"{report.file}: {report.quarantined} rows went to quarantine")
        lines += [f"{report.file}: {finding.sentence()}" for finding in report.findings]
    lines += [join.text for join in result.joins]
    return lines + [f"{doubt.file}: {doubt.column}: {doubt.text} (confirmed: {doubt.code})" for doubt in result.doubts]


def first_ignored(ignored: Mapping[str, str]) -> dict[str, str]:
    """The first few files that were left aside, those first that may have been meant for a table: there may be
    thousands."""
    ordered = sorted(ignored.items(), key=lambda item: item[1] in NOT_MEANT)
    return dict(itertools.islice(ordered, _MAX_SHOWN))


def ignored_text(ignored: Mapping[str, str]) -> str:
    """The same in one sentence."""
    shown = "; ".join(f"{name} ({why})" for name, why in first_ignored(ignored).items())
    return shown + (f" and {len(ignored) - _MAX_SHOWN} more" if len(ignored) > _MAX_SHOWN else "")
