"""Parses, validates and merges raw files into one table per declared table, with rejected rows and a report per
file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import structlog

from services.core import use_case_registry
from services.core.contract.use_case import Finding, ForeignFileError, ParsedTable, Table, UseCase
from services.core.errors import VigieError
from services.core.raw_files.consistency import check_joins, check_meaning, refuse_doubts, refuse_lost
from services.core.raw_files.delimited_text import RawTable, make_raw_table
from services.core.raw_files.documents import Document, list_documents
from services.core.raw_files.headers import missing_columns
from services.core.raw_files.images import is_image_of, list_image_files, read_image_tables
from services.core.raw_files.ingest_report import MAX_BAD_SHARE, FileReport, IngestResult, ignored_text
from services.core.raw_files.table_detection import NO_KNOWN_SHEET, match_header, read_raw_tables

_REASONS_SHOWN = 3


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


def read_files(
    use_case: UseCase,
    files: Iterable[tuple[str, Path]],
    *,
    max_bad_share: float = MAX_BAD_SHARE,
    confirmed: frozenset[str] = frozenset(),
    collect: bool = False,
) -> IngestResult:
    """Read, validate and merge files, passed as (display name, path), oldest first.

    ``confirmed``: codes of doubtful values that a person confirmed. With ``collect`` nothing is raised, all refusals
    are in the result.

    Raises:
        VigieError: a file is unreadable, lacks a required column or has too many bad rows, a table that is not optional
            is missing, too many rows belong to no row of another table, or values were not confirmed.
    """
    result = IngestResult(max_bad_share)

    @contextmanager
    def collecting() -> Iterator[None]:
        try:
            yield
        except VigieError as error:
            if not collect:
                raise
            result.refusals.append(error)

    for name, path in files:
        for table, rows in read_image_tables(list_image_files(path, use_case.data.tables)):
            with collecting():
                _parse(use_case, table, make_raw_table(name, rows), name, result)
        for document in list_documents(path, lambda found: is_image_of(found, use_case.data.tables)):
            with collecting():
                if document.fault is not None and path.is_file():
                    raise document.fault  # a landed file; in a folder of others it is left aside
                _read_document(use_case, document, name if document.name == path.name else document.name, result)
    with collecting():
        absent = [table.name for table in use_case.data.tables if not table.optional and table.name not in result.files]
        if (absent or not result.files) and not result.refusals:
            raise _missing_tables(use_case, absent or [table.name for table in use_case.data.tables], result)
    for table in use_case.data.tables:
        if table.name in result.files:
            result.doubts += check_meaning(table, result.files[table.name])
            result.tables[table.name] = merge_tables(table, [rows for _, rows in result.files[table.name]])
    result.notes = [
        table.if_absent for table in use_case.data.tables if table.if_absent and table.name not in result.files
    ]
    result.joins = check_joins(use_case.data.tables, result.tables)
    with collecting():
        refuse_lost(result.joins, max_bad_share)
    with collecting():
        refuse_doubts(result.doubts, confirmed)
    return result


def _read_document(use_case: UseCase, document: Document, label: str, result: IngestResult) -> None:
    match = match_header(document, use_case.data.tables)
    sheets = list(read_raw_tables(document, use_case.data.tables, match))
    if not sheets:
        result.ignored[label] = match.reason or NO_KNOWN_SHEET
    for table, sheet in sheets:
        try:
            _parse(use_case, table, sheet, label, result)
        except ForeignFileError as error:
            result.ignored[label] = error.problem


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


def _parse(use_case: UseCase, table: Table, sheet: RawTable, label: str, result: IngestResult) -> None:
    """Parse one sheet into ``result``."""
    result.recognised = True
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
    except ForeignFileError:
        raise
    except VigieError as error:
        raise VigieError(f"{label}: {error.problem}", expected=error.expected, action=error.action) from error
    except Exception as error:
        error.add_note(f"while reading {label} as {use_case.name}.{table.name}")
        raise
    faults = _rejected_rows(sheet, checked)
    total = len(sheet.rows) + len(sheet.faults)
    if total and len(faults) > result.max_bad_share * total:
        raise _too_many_rejected(label, faults, total, result.max_bad_share)
    result.quarantine.append(faults.assign(file=label, table=table.name))
    findings = checked.findings + _repeated_rows(table, sheet.rows, checked.rows)
    if sheet.may_be_cut_off and total:
        last = int(max([*sheet.rows["line"].tail(1), *sheet.faults["line"].tail(1)]))
        text = "the file does not end with a line break: its last row may be cut off"
        findings += (Finding("warning", "", text, line=last),)
    result.reports.append(FileReport(label, table.name, len(checked.rows), len(faults), findings))
    result.files.setdefault(table.name, []).append((label, checked.rows))


def _repeated_rows(table: Table, written: pd.DataFrame, rows: pd.DataFrame) -> tuple[Finding, ...]:
    """Rows that a later row of the same file with the same key replaces; where a key may have several rows, those that
    are in the file twice, word for word."""
    if table.image_name_pattern:
        return ()
    if table.allow_duplicate_keys:
        twice = written.duplicated([name for name in written if name != "line"])
        if not twice.any():
            return ()
        text = "rows that are in the file twice, word for word"
        return (Finding("warning", "", text, rows=int(twice.sum()), line=int(written.loc[twice, "line"].iloc[0])),)
    repeated = rows.duplicated(list(table.key), keep="last")
    if not repeated.any():
        return ()
    first = int(rows.loc[repeated, "line"].iloc[0])
    text = f"rows that a later row of the file replaces: it has the same {', '.join(table.key)}"
    return (Finding("lost", "", text, rows=int(repeated.sum()), line=first),)


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
    counts = faults.groupby("reason", sort=False).size().sort_values(ascending=False, kind="stable")
    firsts = [
        faults[faults["reason"] == reason].sort_values("line").iloc[0] for reason in counts.index[:_REASONS_SHOWN]
    ]
    top = "; ".join(
        f"{first['reason']} ({count} rows, first on line {first['line']}{_written(first)})"
        for first, count in zip(firsts, counts, strict=False)
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
    return VigieError(
        f"No file of {use_case.name} holds the table {', '.join(absent)}."
        + (f" Seen and left aside: {ignored_text(result.ignored)}." if result.ignored else ""),
        expected=f"CSV, zip or xlsx files with these headers: {wanted}",
        action="Put the official files into the folder, or use --source simulator.",
    )
