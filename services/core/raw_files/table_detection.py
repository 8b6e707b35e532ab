"""Detects by its header which declared table a document holds, and reads it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from services.core.contract.use_case import Table
from services.core.raw_files import delimited_text, workbooks
from services.core.raw_files.delimited_text import RawTable, unique_column_names
from services.core.raw_files.documents import Document


def detect_table(header: Collection[str], tables: Sequence[Table]) -> Table | None:
    """The table all of whose marks the header holds; of several the one with most marks."""
    names = set(header)
    fitting = [
        table for table in tables if table.header_signature and not missing_columns(names, table.header_signature)
    ]
    return max(fitting, key=lambda table: len(table.header_signature), default=None)


def missing_columns(header: Collection[str], names: Sequence[str]) -> list[str]:
    """Those of ``names`` that the header does not hold; ``"a|b"`` is held when either is."""
    return [name for name in names if not any(option in header for option in name.split("|"))]


def closest_table(header: Collection[str], tables: Sequence[Table]) -> tuple[Table, list[str]] | None:
    """The table that the header is closest to and the marks it lacks, where it has at least one."""
    names = set(header)
    shares = [
        (len(missing_columns(names, table.header_signature)) / len(table.header_signature), table)
        for table in tables
        if table.header_signature
    ]
    share, table = min(shares, key=lambda pair: pair[0], default=(1.0, None))
    return None if table is None or share == 1.0 else (table, missing_columns(names, table.header_signature))


NO_KNOWN_SHEET = "no sheet with a known header"


def rejection_reason(document: Document, tables: Sequence[Table]) -> str:
    """Why a document holds none of the tables; empty where it holds one, or is a workbook, whose sheets
    tell only when they are read. Looks at the header alone.

    Raises:
        VigieError: a file called .csv that is no text.
    """
    if document.kind == "workbook":
        return ""
    if document.kind == "other":
        return "neither text nor a workbook"
    if b"\0" in document.head and not document.should_be_readable:
        return "not text"
    content = delimited_text.decode_text(document.head, document.name)
    names = unique_column_names(delimited_text.read_header(content)[0])
    if detect_table(names, tables) is not None or preamble_length(content, tables):
        return ""
    near = closest_table(names, tables)
    return "unknown header" if near is None else f"like {near[0].name}, but without {', '.join(near[1])}"


def read_raw_tables(document: Document, tables: Sequence[Table]) -> Iterator[tuple[Table, RawTable]]:
    """The sheets of a document that are one of the tables, in its order.

    Raises:
        VigieError: it cannot be read.
    """
    if document.kind == "workbook":
        parts = [(f"{document.name}/{title}", content.encode()) for title, content in workbook_texts(document, tables)]
    else:
        parts = [(document.name, document.read())]
    for name, data in parts:
        sheet = _parse_raw_table(delimited_text.decode_text(data, name), name, tables)
        table = detect_table([str(column) for column in sheet.rows.columns], tables)
        if table is not None:
            yield table, sheet


def workbook_texts(document: Document, tables: Sequence[Table]) -> Iterator[tuple[str, str]]:
    """Title and CSV text of the sheets of a workbook that are one of the tables.

    Raises:
        VigieError: it cannot be read.
    """
    with document.open() as stream:
        signatures = [table.header_signature for table in tables]
        yield from workbooks.workbook_to_csv(stream, document.name, signatures)


def preamble_length(content: str, tables: Sequence[Table]) -> int:
    """How many lines of text stand above the header of a table that may have some; 0 where none is found."""
    for table in tables:
        for number, line in enumerate(content.splitlines()[: table.max_preamble_lines]):
            if detect_table(unique_column_names(delimited_text.read_header(line)[0]), [table]) is not None:
                return number
    return 0


def _parse_raw_table(content: str, name: str, tables: Sequence[Table]) -> RawTable:
    """The content as a sheet. Text above the header becomes the column ``above``; lines keep their numbers."""
    above = preamble_length(content, tables)
    if not above:
        return delimited_text.parse_csv_text(content, name)
    lines = content.splitlines(keepends=True)
    sheet = delimited_text.parse_csv_text("".join(lines[above:]), name)
    rows = sheet.rows.assign(line=sheet.rows["line"] + above, above="".join(lines[:above]).strip())
    return RawTable(name, rows, sheet.faults.assign(line=sheet.faults["line"] + above))
