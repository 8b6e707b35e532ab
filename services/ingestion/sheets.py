"""The tables of a document that a use case knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.core.usecases.contract import Table
from services.ingestion import text, workbook
from services.ingestion.documents import Document, seekable
from services.ingestion.recognise import nearest, table_of
from services.ingestion.sheet import Sheet, unique_names

NO_SHEET = "no sheet with a known header"


def refusal(document: Document, tables: Sequence[Table]) -> str:
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
    content = text.decode(document.head, document.name)
    names = unique_names(text.header(content)[0])
    if table_of(names, tables) is not None or lines_above(content, tables):
        return ""
    near = nearest(names, tables)
    return "unknown header" if near is None else f"like {near[0].name}, but without {', '.join(near[1])}"


def read(document: Document, tables: Sequence[Table]) -> Iterator[tuple[Table, Sheet]]:
    """The sheets of a document that are one of the tables, in its order.

    Raises:
        VigieError: it cannot be read.
    """
    if document.kind == "workbook":
        parts = [(f"{document.name}/{title}", content.encode()) for title, content in texts(document, tables)]
    else:
        parts = [(document.name, document.read())]
    for name, data in parts:
        sheet = _sheet(text.decode(data, name), name, tables)
        table = table_of([str(column) for column in sheet.rows.columns], tables)
        if table is not None:
            yield table, sheet


def texts(document: Document, tables: Sequence[Table]) -> Iterator[tuple[str, str]]:
    """Title and CSV text of the sheets of a workbook that are one of the tables.

    Raises:
        VigieError: it cannot be read.
    """
    with document.open() as stream:
        yield from workbook.as_csv(seekable(stream), document.name, lambda names: table_of(names, tables) is not None)


def lines_above(content: str, tables: Sequence[Table]) -> int:
    """How many lines of text stand above the header of a table that may have some; 0 where none is found."""
    for table in tables:
        for number, line in enumerate(content.splitlines()[: table.below_text]):
            if table_of(unique_names(text.header(line)[0]), [table]) is not None:
                return number
    return 0


def _sheet(content: str, name: str, tables: Sequence[Table]) -> Sheet:
    """The content as a sheet. Text above the header becomes the column ``above``; lines keep their numbers."""
    above = lines_above(content, tables)
    if not above:
        return text.read_decoded(content, name)
    lines = content.splitlines(keepends=True)
    sheet = text.read_decoded("".join(lines[above:]), name)
    rows = sheet.rows.assign(line=sheet.rows["line"] + above, above="".join(lines[:above]).strip())
    return Sheet(name, rows, sheet.faults.assign(line=sheet.faults["line"] + above))
