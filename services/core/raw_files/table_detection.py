"""Detects which declared table a document contains, by its header, and parses it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from services.core.contract.use_case import Table
from services.core.errors import VigieError
from services.core.raw_files import delimited_text, workbooks
from services.core.raw_files.delimited_text import RawTable, unique_column_names
from services.core.raw_files.documents import Document
from services.core.raw_files.headers import MAX_TITLE_LINES, declared_names, missing_columns, name_keys, renamed


def detect_table(header: Collection[str], tables: Sequence[Table]) -> Table | None:
    """The table whose header signature is complete in the header; of several the one with the longest signature."""
    names = set(header)
    fitting = [
        table for table in tables if table.header_signature and not missing_columns(names, table.header_signature)
    ]
    return max(fitting, key=lambda table: len(table.header_signature), default=None)


def joined_tables(header: Collection[str], tables: Sequence[Table]) -> list[str]:
    """Names of the tables of which a file is a join: more than one, or none if it is not one."""
    names = set(header)
    fitting = [
        table for table in tables if table.header_signature and not missing_columns(names, table.header_signature)
    ]
    part = {other for table in fitting for other in table.includes}
    whole = [table for table in fitting if table.name not in part]
    return [table.name for table in whole] if len(whole) > 1 else []


def closest_table(header: Collection[str], tables: Sequence[Table]) -> tuple[Table, list[str]] | None:
    """The table that lacks the smallest share of its columns in the header, and these columns; None if none matches."""
    names = set(header)
    shares = [
        (len(missing_columns(names, table.header_signature)) / len(table.header_signature), table)
        for table in tables
        if table.header_signature
    ]
    share, table = min(shares, key=lambda pair: pair[0], default=(1.0, None))
    return None if table is None or share == 1.0 else (table, missing_columns(names, table.header_signature))


WEB_PAGE = "a web page, not a table: the download answered with a page"
NO_KNOWN_SHEET = "no sheet with a known header"
UNKNOWN_HEADER, NO_TEXT = "unknown header", "neither text nor a workbook"
NOT_MEANT = {UNKNOWN_HEADER, NO_TEXT}
"""Reasons of files that nobody meant for a table, such as notes and pictures."""


class HeaderMatch(NamedTuple):
    """The table whose header a document has, and the number of text lines above it; ``reason`` if it has none.
    Empty for a workbook, whose sheets are matched when they are parsed."""

    table: Table | None = None
    preamble_lines: int = 0
    reason: str = ""


def match_header(document: Document, tables: Sequence[Table]) -> HeaderMatch:
    """Match a document by its header only.

    Raises:
        VigieError: a .csv file that is not text.
    """
    if document.kind == "workbook":
        return HeaderMatch()
    if document.fault is not None:
        return HeaderMatch(reason=document.fault.problem)
    foreign = _foreign_kind(document)
    if foreign:
        return HeaderMatch(reason=foreign)
    if b"\0" in document.head and not document.should_be_readable:
        return HeaderMatch(reason="not text")
    return match_text(delimited_text.decode_text(document.head, document.name), tables)


_BEGINNINGS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls): save it as .xlsx"),
    (b"%PDF", "a PDF document"),
    (b"<!doctype html", WEB_PAGE),
    (b"<html", WEB_PAGE),
    (b"<head", WEB_PAGE),
    (b"<body", WEB_PAGE),
    (b"<?xml", "an XML document, not a table"),
    (b"{", "JSON, not a table"),
    (b"[", "JSON, not a table"),
)


def _foreign_kind(document: Document) -> str:
    """What a document is that can hold no table; blank if it can."""
    start = document.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    if not start:
        return "it is empty"
    known = next((words for mark, words in _BEGINNINGS if start.startswith(mark.lower())), "")
    return known or (NO_TEXT if document.kind == "other" else "")


def read_raw_tables(
    document: Document, tables: Sequence[Table], match: HeaderMatch
) -> Iterator[tuple[Table, RawTable]]:
    """Parse the sheets of a document that match one of the tables, in order. ``match`` is the result of
    ``match_header``.

    Raises:
        VigieError: the document cannot be read.
    """
    if document.kind == "workbook":
        for title, content in workbook_texts(document, tables):
            of_sheet = match_text(content, tables)
            if of_sheet.table is not None:
                name = f"{document.name}/{title}"
                yield of_sheet.table, _parse_raw_table(content, name, of_sheet.table, of_sheet.preamble_lines)
    elif match.table is not None:
        content = delimited_text.decode_text(document.read(), document.name)
        sheet = _parse_raw_table(content, document.name, match.table, match.preamble_lines)
        yield match.table, sheet._replace(may_be_cut_off=not content.endswith(("\n", "\r")))


def match_text(content: str, tables: Sequence[Table]) -> HeaderMatch:
    """Match a text, or the text of a sheet, by its header."""
    above = _preamble_length(content, tables)
    header = content.splitlines()[above] if above else content
    names = unique_column_names(delimited_text.read_header(header)[0])
    several = joined_tables(names, tables)
    if several:
        return HeaderMatch(
            reason=f"it looks like {', '.join(several[:-1])} and {several[-1]} in one: a table joined from several. "
            "The official files are wanted, each by itself"
        )
    table = detect_table(names, tables)
    if table is not None:
        return HeaderMatch(table, above)
    near = closest_table(names, tables)
    return HeaderMatch(
        reason=UNKNOWN_HEADER if near is None else f"like {near[0].name}, but without {', '.join(near[1])}"
    )


def workbook_texts(
    document: Document, tables: Sequence[Table], scratch: Path | None = None
) -> Iterator[tuple[str, str]]:
    """Title and CSV text of the workbook's sheets that match one of the tables.

    Raises:
        VigieError: the workbook cannot be read.
    """
    with document.open() as stream:
        signatures = [table.header_signature for table in tables]
        yield from workbooks.workbook_to_csv(stream, document.name, signatures, scratch=scratch)


def _preamble_length(content: str, tables: Sequence[Table]) -> int:
    """Number of text lines above the header; 0 if no header is found."""
    for table in tables:
        limit = max(table.max_preamble_lines, MAX_TITLE_LINES)
        for number, line in enumerate(itertools.islice(content.splitlines(), limit)):
            if detect_table(unique_column_names(delimited_text.read_header(line)[0]), [table]) is not None:
                return number
    return 0


def _parse_raw_table(content: str, name: str, table: Table, above: int) -> RawTable:
    """Parse CSV text; columns get the names by which the table declares them. Text above the header becomes the column
    ``above`` where the table wants it; line numbers stay those of the file.

    Raises:
        VigieError: two different columns have the name of one.
    """
    lines = content.splitlines(keepends=True) if above else []
    sheet = delimited_text.parse_csv_text("".join(lines[above:]) if above else content, name)
    rows = sheet.rows.rename(columns=renamed(list(map(str, sheet.rows.columns)), declared_names(table)))
    _check_unique(rows, name, table)
    if above:
        rows = rows.assign(line=rows["line"] + above)
        if table.max_preamble_lines:
            rows = rows.assign(above="".join(lines[:above]).strip())
    return RawTable(name, rows, sheet.faults.assign(line=sheet.faults["line"] + above))


def _check_unique(rows: pd.DataFrame, name: str, table: Table) -> None:
    wanted = {key: column for column in declared_names(table) if column in rows for key in name_keys(column)}
    for column in map(str, rows.columns):
        same = next((wanted[key] for key in name_keys(column.removesuffix(".1")) if key in wanted), column)
        if same != column and not rows[same].equals(rows[column]):
            line = int(rows["line"][(rows[same] != rows[column]).to_numpy(dtype=bool)].iloc[0])
            raise VigieError(
                f"{name} has two columns {same!r} that differ, first on line {line}. Nothing was changed.",
                expected=f"one column {same}",
                action="Remove or rename the column that is not meant.",
            )
