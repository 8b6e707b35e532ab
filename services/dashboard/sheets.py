"""Files of calls: reading CSV and Excel, and writing answers that a spreadsheet opens without running any."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException
from pydantic import BaseModel

from services.core.errors import VigieError
from services.dashboard.fields import fields_of

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_ENCODINGS = ("utf-8-sig", "cp1252")
_TRUE, _FALSE = {"true", "yes", "oui", "vrai", "1"}, {"false", "no", "non", "faux", "0"}
INCIDENT = "incident_id"


def rows_of(name: str, content: bytes) -> list[dict[str, Any]]:
    """The lines of a file below its first one, by the names in that. Empty lines are left out.

    Raises:
        VigieError: it is no CSV or Excel file.
    """
    table = _excel(content) if name.lower().endswith((".xlsx", ".xlsm")) else _csv(content)
    lines = iter(table)
    head = [str(cell or "").strip() for cell in next(lines, [])]
    found = []
    for line in lines:
        row = {title: cell for title, cell in zip(head, line, strict=False) if title and cell not in (None, "")}
        if row:
            found.append(row)
    return found


def payloads(
    model: type[BaseModel], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """The rows as requests, the columns that were found, and those that are no field. A column may be called as the
    field is, or by its title in either language."""
    known = fields_of(model)
    names = {INCIDENT: INCIDENT}
    for field in known.values():
        for title in (field.name, field.title.en, field.title.fr):
            names.setdefault(_plain(title), field.name)
    columns = list(dict.fromkeys(title for row in rows for title in row))
    of = {column: names.get(_plain(column)) for column in columns}
    found = [
        {name: _value(known[name].kind if name in known else "text", value) for column, value in row.items()
         if (name := of[column]) is not None}
        for row in rows
    ]  # fmt: skip
    return found, [name for name in of.values() if name], [column for column, name in of.items() if name is None]


def template(model: type[BaseModel]) -> bytes:
    """The fields' names and one example."""
    examples = {name: (info.examples or [""])[0] for name, info in model.model_fields.items()}
    return written([list(examples), [value if len(str(value)) < 200 else "" for value in examples.values()]])


def written(table: Iterable[Sequence[Any]]) -> bytes:
    """CSV in UTF-8 with its mark, which spreadsheets look for."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([safe(cell) for cell in line] for line in table)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def workbook(table: Iterable[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("answers")
    for line in table:
        sheet.append([safe(cell) for cell in line])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def flat(node: Any, above: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``; lists stay in one cell."""
    found: dict[str, Any] = {}
    for name, value in node.items():
        path = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping):
            found |= flat(value, path)
        elif isinstance(value, list):
            found[path] = "; ".join(map(str, value))
        else:
            found[path] = value
    return found


def safe(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula is told to be one no more."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "'" + cell if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _csv(content: bytes) -> Iterable[list[Any]]:
    for encoding in _ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        head = text[:4_096].partition("\n")[0]
        separator = max(";,\t", key=head.count)
        return csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    raise VigieError("This is no text.", expected="a CSV file in UTF-8, or an Excel file (.xlsx)")


def _excel(content: bytes) -> Iterable[list[Any]]:
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        return [list(line) for line in sheet.iter_rows(values_only=True)]
    except (InvalidFileException, KeyError, ValueError, OSError, IndexError) as error:
        raise VigieError("This is no Excel file.", expected="an .xlsx workbook") from error
    except Exception as error:  # a zip that is broken in a way of its own
        raise VigieError("This Excel file is damaged.", expected="an .xlsx workbook") from error


def _value(kind: str, value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of cell
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if kind == "date" else value.isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if kind in {"text", "category"}:
        return f"{value:g}" if isinstance(value, float) else str(value)
    if kind == "flag" and isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else value
    if kind == "number" and isinstance(value, str):
        text = value.strip().replace("\u202f", "").replace("\u00a0", "").replace(" ", "")
        if text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        try:
            number = float(text)
        except ValueError:
            return value
        return int(number) if number.is_integer() else number
    return value


def _plain(title: str) -> str:
    return " ".join(title.lower().replace("_", " ").split())
