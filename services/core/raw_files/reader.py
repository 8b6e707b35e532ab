"""Parses, validates and merges raw files into one table per declared table, with rejected rows and a report per
file.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import structlog

from services.core import use_case_registry
from services.core.contract.use_case import Finding, ParsedTable, Table, UseCase
from services.core.errors import VigieError
from services.core.raw_files.delimited_text import RawTable, make_raw_table
from services.core.raw_files.documents import list_documents
from services.core.raw_files.images import is_image_of, list_image_files, read_image_tables
from services.core.raw_files.table_detection import NO_KNOWN_SHEET, match_header, missing_columns, read_raw_tables

_MAX_SHOWN = 10


def merge_tables(table: Table, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Merge the canonical rows of ``frames``, oldest first, into one table, sorted by the table's key.

    All rows of a key are replaced by those of the newest file that contains the key. Within a file the last row of a
    key wins unless the table allows several rows per key. Line numbers are dropped and the order does not depend on
    the files, so that equal rows give equal tables."""
    key = list(table.key)
    kept = [_last_per_key(frame.drop(columns="line", errors="ignore"), table) for frame in frames]
    merged = kept[0] if len(kept) == 1 else _newest_per_key(kept, key)
    return merged.sort_values(key, kind="stable", ignore_index=True)


def _last_per_key(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    return frame if table.allow_duplicate_keys else frame.drop_duplicates(list(table.key), keep="last")


def _newest_per_key(frames: list[pd.DataFrame], key: list[str]) -> pd.DataFrame:
    rows = pd.concat(frames, ignore_index=True)
    file = pd.Series(np.repeat(np.arange(len(frames)), [len(frame) for frame in frames]), index=rows.index)
    newest = file.groupby([rows[name] for name in key], dropna=False, sort=False).transform("max")
    return rows[file == newest]


MAX_BAD_SHARE = 0.05
_REASONS_SHOWN = 3


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

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    quarantine: list[pd.DataFrame] = field(default_factory=list)
    """Frames with ``file``, ``table``, ``line``, ``reason``, ``column`` and ``value`` (blank if no single value is
    the reason) and ``row``, the row as a JSON object."""
    reports: list[FileReport] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    """File that belongs to no table -> reason."""


def read_files(
    use_case: UseCase, files: Iterable[tuple[str, Path]], *, max_bad_share: float = MAX_BAD_SHARE
) -> IngestResult:
    """Read, validate and merge files, passed as (display name, path), oldest first.

    Raises:
        VigieError: a file is unreadable, lacks a required column or has too many bad rows, or a table
            that is not optional is missing.
    """
    result = IngestResult()
    frames: dict[str, list[pd.DataFrame]] = {}
    for name, path in files:
        for table, rows in read_image_tables(list_image_files(path, use_case.data.tables)):
            sheet = make_raw_table(name, rows)
            checked = _parse(use_case, table, sheet, label=name, max_bad_share=max_bad_share, result=result)
            frames.setdefault(table.name, []).append(checked)
        for document in list_documents(path, lambda found: is_image_of(found, use_case.data.tables)):
            label = name if document.name == path.name else document.name
            match = match_header(document, use_case.data.tables)
            sheets = list(read_raw_tables(document, use_case.data.tables, match))
            if not sheets:
                result.ignored[label] = match.reason or NO_KNOWN_SHEET
            for table, sheet in sheets:
                checked = _parse(use_case, table, sheet, label=label, max_bad_share=max_bad_share, result=result)
                frames.setdefault(table.name, []).append(checked)
    absent = [table.name for table in use_case.data.tables if not table.optional and table.name not in frames]
    if absent:
        raise _missing_tables(use_case, absent, result)
    for table in use_case.data.tables:
        if table.name in frames:
            result.tables[table.name] = merge_tables(table, frames[table.name])
    return result


def read_folder(use_case: str, folder: Path) -> dict[str, pd.DataFrame]:
    """Return the validated, merged tables of a folder of raw official files, without storing anything.

    Rejected rows are dropped and counted in the log.

    Raises:
        VigieError: as ``read_files``, or the folder is missing.
    """
    if not folder.is_dir():
        raise VigieError(f"{folder} is not a folder.", expected="a folder of raw official files")
    result = read_files(use_case_registry.get(use_case), [(folder.name, folder)])
    structlog.get_logger().info(
        "read folder",
        use_case=use_case,
        rows={name: len(table) for name, table in result.tables.items()},
        quarantined=sum(report.quarantined for report in result.reports),
        ignored=len(result.ignored),
    )
    return result.tables


def _parse(
    use_case: UseCase, table: Table, sheet: RawTable, *, label: str, max_bad_share: float, result: IngestResult
) -> pd.DataFrame:
    missing = missing_columns(set(map(str, sheet.rows.columns)), table.required)
    if missing:
        raise VigieError(
            f"{label} is a file of the table {table.name} but has no column {', '.join(missing)}. Nothing was changed.",
            expected="the columns " + ", ".join(table.required),
            action="Fetch or export the file again with these columns.",
        )
    rows = sheet.rows.assign(file=label.rpartition("/")[2]) if table.with_file_name else sheet.rows
    try:
        checked = use_case.raw.parse_table(table.name, rows)
    except Exception as error:
        error.add_note(f"while reading {label} as {use_case.name}.{table.name}")
        raise
    faults = _rejected_rows(sheet, checked)
    total = len(sheet.rows) + len(sheet.faults)
    if total and len(faults) > max_bad_share * total:
        raise _too_many_rejected(label, faults, total, max_bad_share)
    result.quarantine.append(faults.assign(file=label, table=table.name))
    result.reports.append(FileReport(label, table.name, len(checked.rows), len(faults), checked.findings))
    return checked.rows


def _rejected_rows(sheet: RawTable, checked: ParsedTable) -> pd.DataFrame:
    """``line``, ``reason``, ``column``, ``value`` and ``row`` of every rejected row, in line order."""
    named = checked.rejected.reindex(columns=["line", "reason", "column", "value"]).fillna({"column": "", "value": ""})
    bad = named.astype({"line": "int64", "reason": "str", "column": "str", "value": "str"})
    source = sheet.rows[sheet.rows["line"].isin(bad["line"])]
    rows = {
        int(values["line"]): json.dumps(
            {k: v for k, v in values.items() if k != "line" and not isinstance(v, bytes)}, ensure_ascii=False
        )
        for values in source.to_dict("records")
    }
    bad = bad.assign(row=[rows.get(int(line), "") for line in bad["line"]])
    malformed = sheet.faults.assign(column="", value="")
    return pd.concat([malformed, bad], ignore_index=True).sort_values("line", kind="stable", ignore_index=True)


def _too_many_rejected(label: str, faults: pd.DataFrame, total: int, limit: float) -> VigieError:
    first = faults.sort_values("line").groupby("reason", sort=False).first()
    counts = faults.groupby("reason", sort=False).size().sort_values(ascending=False, kind="stable")
    top = "; ".join(
        f"{reason} ({count} rows, first on line {int(first.at[reason, 'line'])}{_written(first.loc[reason])})"
        for reason, count in counts.head(_REASONS_SHOWN).items()
    )
    return VigieError(
        f"{label}: {len(faults)} of {total} rows ({len(faults) / total:.1%}) are bad: {top}. Nothing was changed.",
        expected=f"at most {limit:.1%} bad rows in a file",
        action="Correct the file, or raise max_bad_share in params.yaml if these rows may be lost.",
    )


def _written(fault: pd.Series) -> str:
    """`` in the column dep: '2B1'``, if a single value is the reason."""
    column = f" in the column {fault['column']}" if fault["column"] else ""
    return f"{column}: {fault['value']!r}" if fault["value"] else column


def _missing_tables(use_case: UseCase, absent: Sequence[str], result: IngestResult) -> VigieError:
    wanted = "; ".join(
        f"{t.name} ({', '.join(t.header_signature) or 'image files'}, …)"
        for t in use_case.data.tables
        if t.name in absent
    )
    seen = ", ".join(f"{name} ({why})" for name, why in list(result.ignored.items())[:5])
    return VigieError(
        f"No file of {use_case.name} holds the table {', '.join(absent)}."
        + (f" Seen and left alone: {seen}." if seen else ""),
        expected=f"CSV, zip or xlsx files with these headers: {wanted}",
        action="Put the official files into the folder, or use --source simulator.",
    )


def first_ignored(ignored: Mapping[str, str]) -> dict[str, str]:
    """The first few ignored files, for a log line: there may be thousands."""
    return dict(itertools.islice(ignored.items(), _MAX_SHOWN))
