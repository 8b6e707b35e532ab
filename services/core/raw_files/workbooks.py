"""Converts the sheets of Excel workbooks to CSV text."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import Any, BinaryIO

from services.core.errors import VigieError
from services.core.raw_files.delimited_text import unique_column_names

_TITLE_ROWS = 10
"""A header is looked for below at most so many rows of titles."""
_DAMAGE = (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError, OSError, SyntaxError)


def workbook_to_csv(stream: BinaryIO, name: str, is_header: Callable[[list[str]], bool]) -> Iterator[tuple[str, str]]:
    """Title and CSV text of every sheet with a header that ``is_header`` knows. ``stream`` is seekable.

    Raises:
        VigieError: the bytes are no workbook, or a damaged one.
    """
    import openpyxl  # noqa: PLC0415  (half a second that most runs do not need)

    try:
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        for sheet in book.worksheets:
            if (text := _sheet_text(sheet, is_header)) is not None:
                yield str(sheet.title), text
        book.close()
    except _DAMAGE as error:
        raise VigieError(
            f"{name} is not a readable Excel workbook: {error}",
            expected="an .xlsx file as Excel or LibreOffice writes it",
            action="Open it, save it again as .xlsx or CSV, and drop it once more.",
        ) from error


def _sheet_text(sheet: Any, is_header: Callable[[list[str]], bool]) -> str | None:
    sheet.reset_dimensions()  # the size that a workbook states may be wrong
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    width = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        values = [_text(cell) for cell in cells]
        if not width:
            while values and not values[-1]:
                values.pop()
            if values and is_header(unique_column_names(values)):
                width = len(values)
                writer.writerow(values)
            elif number >= _TITLE_ROWS:
                return None
            else:
                out.write("\n")
        elif any(values):
            writer.writerow((values + [""] * width)[:width])
        else:
            out.write("\n")
    return out.getvalue() if width else None


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return " ".join(cell.splitlines()) if "\n" in cell or "\r" in cell else cell
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
