"""Splits CSV and Excel files of calls into lines and cells. What cannot be split in one way only is not read but named,
with its line and column."""

from __future__ import annotations

import csv
import io
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from services.core.messages import Message
from services.core.raw_files.workbooks import WorkbookBudget, read_sheets

_DELIMITERS = ",;\t|"
_BUDGET = WorkbookBudget(cells=4_000_000, memory_mb=1_024, seconds=30)
_ONE_WORKBOOK = threading.Lock()
"""Workbooks are read one at a time: each may need its whole budget of memory."""
_LINE_LENGTH = 1_000_000
_QUOTED_LINES = 200
"""Most lines of a quoted cell; a longer one was never closed."""
_COLUMNS = 1_000
BLANKS = " \t\u00a0\u202f"

Line = tuple[int, list[Any]]
"""Line number in the file, and the cells."""


class CallFileError(Exception):
    """The file cannot be read as calls; ``message`` says why."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.message = Message(f"call.{code}", values)


@dataclass(frozen=True, slots=True)
class CellFault:
    """What is wrong with a cell or, with an empty ``column``, with a line."""

    line: int
    column: str
    message: Message


@dataclass(slots=True)
class CallFile:
    """The header's titles, the lines below it that have any cell, and lines that cannot be split into cells."""

    titles: list[str]
    lines: list[Line] = field(default_factory=list)
    faults: list[CellFault] = field(default_factory=list)


def read_file(name: str, content: bytes, most: int, is_title: Callable[[str], bool]) -> CallFile:
    """Read up to ``most`` lines. ``is_title``: whether a title names a field, by which the sheet is found.

    Raises:
        CallFileError: no table of calls, or one that is too long or too wide.
        VigieError: a damaged workbook, or one over its budget.
    """
    if not name.lower().endswith((".xlsx", ".xlsm")):
        return _read_text(content, most)
    budget = replace(_BUDGET, rows=2 * most + 1_000)
    with _ONE_WORKBOOK:
        sheets = read_sheets(content, name, budget)
    return _choose_sheet(sheets, most, is_title)


def _choose_sheet(sheets: Mapping[str, list[list[Any]]], most: int, is_title: Callable[[str], bool]) -> CallFile:
    """The one sheet with columns of the use case; the first that has any cell if there is none."""
    found = {title: _from_lines(enumerate(rows, start=1), most) for title, rows in sheets.items()}
    filled = {title: file for title, file in found.items() if file.titles}
    fitting = [title for title, file in filled.items() if any(map(is_title, file.titles))]
    if len(fitting) > 1:
        raise CallFileError("file_sheets", sheets=", ".join(fitting))
    return filled[fitting[0]] if fitting else next(iter(filled.values()), CallFile([]))


def _read_text(content: bytes, most: int) -> CallFile:
    lines = _Lines(io.StringIO(_decode(content), newline=""))
    while (first := lines.peek()) is not None and not first.strip():
        lines.take(1)
    if first is None:
        return CallFile([])
    delimiter = ""
    if re.fullmatch(r"sep=.\s*", first, re.IGNORECASE):
        delimiter = first[4]
        lines.take(1)
    head = (lines.peek() or "")[:_LINE_LENGTH]
    delimiter = delimiter or max(_DELIMITERS, key=lambda mark: len(_split(head, mark)))
    faults: list[CellFault] = []
    file = _from_lines(_records(lines, delimiter, faults), most)
    file.faults = sorted(faults + file.faults, key=lambda fault: fault.line)
    return file


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = [] if b"\0" in content else ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CallFileError("file_no_text")


def _from_lines(lines: Iterable[Line], most: int) -> CallFile:
    """Split header and lines; cells beyond the header are faults."""
    rows = ((number, cells) for number, cells in lines if any(not is_blank(cell) for cell in cells))
    first = next(iter(rows), None)
    if first is None:
        return CallFile([])
    titles = [str(cell or "").strip("\ufeff" + BLANKS) for cell in first[1]]
    while len(titles) > _COLUMNS and not titles[-1]:
        titles.pop()
    if len(titles) > _COLUMNS:
        raise CallFileError("file_wide", count=_COLUMNS)
    file = CallFile(titles)
    for number, cells in rows:
        if len(file.lines) + len(file.faults) >= most:
            raise CallFileError("file_long", rows=most)
        beyond = next((n for n, cell in enumerate(cells) if n >= len(titles) and not is_blank(cell)), None)
        if beyond is None:
            file.lines.append((number, cells[: len(titles)]))
        else:
            column = column_title([], beyond)
            file.faults.append(CellFault(number, column, Message("call.cell_beyond", {"count": len(titles)})))
    return file


class _Lines:
    """The file's lines, of which some can be looked at before they are taken."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._rest, self._ahead = iter(lines), list[str]()
        self.number = 1
        """Number of the next line."""

    def ahead(self) -> Iterator[str]:
        """The next lines, not taken."""
        for place in range(_QUOTED_LINES):
            if place == len(self._ahead):
                line = next(self._rest, None)
                if line is None:
                    return
                self._ahead.append(line)
            yield self._ahead[place]

    def peek(self) -> str | None:
        return next(self.ahead(), None)

    def take(self, count: int) -> list[str]:
        taken = self._ahead[:count] or list(islice(self._rest, count))
        del self._ahead[:count]
        self.number += len(taken)
        return taken


def _records(lines: _Lines, delimiter: str, faults: list[CellFault]) -> Iterator[Line]:
    """Records with the number of their first line. A line whose quotes do not fit is a fault, and reading goes on with
    the next one."""
    width = 0
    while (text := lines.peek()) is not None:
        number, used = lines.number, 0

        def feed() -> Iterator[str]:
            nonlocal used
            for line in lines.ahead():
                used += 1
                yield line

        code = ""
        if len(text) > _LINE_LENGTH:
            code = "cell_long"
        else:
            try:
                cells = next(csv.reader(feed(), delimiter=delimiter, strict=True), [])
            except csv.Error as error:
                code = "cell_long" if "field limit" in str(error) else "cell_quote"
            else:
                # A cell of several lines is one if none of them could be a line of the table by itself.
                inner = islice(lines.ahead(), 1, used)
                if used > 1 and (width == 1 or any(len(_split(line, delimiter)) >= width for line in inner)):
                    code = "cell_quote"
        if code:
            column = column_title([], _open_quote(text, delimiter)) if code == "cell_quote" else ""
            faults.append(CellFault(number, column, Message(f"call.{code}")))
            lines.take(1)
            continue
        taken = lines.take(used)
        width = width or len(cells)
        if len(cells) < width and lines.peek() is None and not taken[-1].endswith(("\n", "\r")):
            faults.append(CellFault(number, "", Message("call.line_cut", {"count": len(cells), "of": width})))
        else:
            yield number, cells


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _open_quote(line: str, delimiter: str) -> int:
    """Position of the first cell whose quotes do not fit; the last cell if all do."""
    quoted = re.compile(rf'"(?:[^"]|"")*"(?={re.escape(delimiter)}|$)')
    at, column, line = 0, 0, line.rstrip("\r\n")
    while at < len(line):
        if line[at] == '"':
            found = quoted.match(line, at)
            if found is None:
                return column
            at = found.end()
        following = line.find(delimiter, at)
        if following < 0:
            break
        at, column = following + 1, column + 1
    return column


def column_title(titles: Sequence[str], at: int) -> str:
    """The column's title, else its number."""
    return titles[at] if at < len(titles) and titles[at] else str(at + 1)


def is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip(BLANKS))
