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
    names = unique_names(text.header(text.decode(document.head, document.name))[0])
    if table_of(names, tables) is not None:
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
        sheet = text.read_text(data, name)
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
