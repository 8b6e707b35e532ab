"""Calls of a file as requests. A value that can be understood in two ways is not read but named, with its line and
column."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from services.core.messages import CATALOGUE, Message
from services.dashboard.components.use_cases import Field, fields_of
from services.dashboard.pages.call.batch_file import (
    BLANKS,
    CallFile,
    CallFileError,
    CellFault,
    column_title,
    is_blank,
    read_file,
)

INCIDENT = "incident_id"
_INCIDENT_LENGTH = 64
_EXACT = 10**15
"""Spreadsheets round whole numbers from here on: they hold fifteen digits."""


@dataclass(slots=True)
class ParsedCalls:
    """The file's calls by line, as requests with the incident id; faults by cell; columns that are not used."""

    requests: list[tuple[int, dict[str, Any]]]
    faults: list[CellFault]
    known: list[str]
    unused: list[str]


def read_calls(model: type[BaseModel], name: str, content: bytes, most: int) -> ParsedCalls:
    """Read up to ``most`` calls from a CSV or Excel file.

    Raises:
        CallFileError: no table of calls, too long, or a column is there twice.
        VigieError: a damaged workbook, or one over its budget.
    """
    names = _field_names(model)
    return _parse(model, names, read_file(name, content, most, lambda title: _normalise(title) in names))


def _normalise(title: str) -> str:
    return " ".join(title.casefold().replace("_", " ").replace("-", " ").split())


def _field_names(model: type[BaseModel]) -> dict[str, str]:
    """Title -> field: the name, or the title in either language."""
    incident = CATALOGUE["call.incident"]
    own = {_normalise(title): INCIDENT for title in (INCIDENT, incident.en, incident.fr)}
    of_fields: dict[str, str] = {}
    for name, known in fields_of(model).items():
        for title in (name, known.title.en, known.title.fr):
            of_fields.setdefault(_normalise(title), name)
    return own | of_fields


def _parse(model: type[BaseModel], names: Mapping[str, str], file: CallFile) -> ParsedCalls:
    fields = fields_of(model)
    used = {at: name for at, title in enumerate(file.titles) if (name := names.get(_normalise(title)))}
    for name in used.values():
        twice = [at for at, other in used.items() if other == name]
        if len(twice) > 1:
            columns = ", ".join(f"{at + 1} ({file.titles[at]})" for at in twice)
            raise CallFileError("column_twice", name=name, columns=columns)
    numbers = [at for at, name in used.items() if name in fields and fields[name].kind == "number"]
    marks = _decimal_marks(cells[at] for _, cells in file.lines for at in numbers if at < len(cells))
    requests, faults = [], list(file.faults)
    for line, cells in file.lines:
        request: dict[str, Any] = {}
        wrong = []
        for at, name in used.items():
            if at >= len(cells) or is_blank(cells[at]):
                continue
            value = _value(fields.get(name), cells[at], marks)
            if isinstance(value, Message):
                wrong.append(CellFault(line, file.titles[at], value))
            else:
                request[name] = value
        faults += wrong
        if request and not wrong:
            requests.append((line, request))
    filled = {at for _, cells in file.lines for at, cell in enumerate(cells) if not is_blank(cell)}
    unused = [
        column_title(file.titles, at)
        for at in range(len(file.titles))
        if at not in used and (file.titles[at] or at in filled)
    ]
    return ParsedCalls(requests, faults, list(used.values()), unused)


_ERROR = re.compile(r"#(N/A|N/D|REF!|VALUE!|VALEUR!|DIV/0!|NAME\?|NOM\?|NUM!|NOMBRE!|NULL!|NUL!|#+)")
_EXPONENT = re.compile(r"[+-]?\d+(?:[.,]\d*)?e[+-]?\d+", re.IGNORECASE)
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d{2,}")
_WHOLE = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d*)([.,])(\d+)")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u202f'’.,]\d{3})+(?:[.,]\d+)?")
_TRUE, _FALSE = {"true", "yes", "oui", "vrai", "1"}, {"false", "no", "non", "faux", "0"}


def _value(known: Field | None, cell: Any, marks: set[str]) -> Any:  # noqa: PLR0911 - one line for each kind of cell
    """The cell's value for its field (None: the incident id), or a message that says what is wrong."""
    kind = "text" if known is None else known.kind
    if isinstance(cell, str):
        cell = cell.strip(BLANKS + "\r\n")
        if _ERROR.fullmatch(cell):
            return Message("call.cell_error", {"value": cell})
    if kind == "number":
        assert known is not None
        return _number(known, cell, marks)
    if kind in {"time", "date"}:
        return _time(kind, cell)
    if kind == "flag" and isinstance(cell, str):
        word = cell.casefold()
        return True if word in _TRUE else False if word in _FALSE else cell
    if kind in {"text", "category"}:
        text = _text(cell)
        if known is None and isinstance(text, str) and not (len(text) <= _INCIDENT_LENGTH and text.isprintable()):
            return Message("call.cell_incident", {"longest": _INCIDENT_LENGTH})
        return text
    return cell


def _text(cell: Any) -> str | Message:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    text = repr(cell) if isinstance(cell, float) else str(cell)
    rounded = abs(cell) >= _EXACT if isinstance(cell, int | float) else _ROUNDED.fullmatch(text) is not None
    return Message("call.cell_rounded", {"value": text}) if rounded else text


def _time(kind: str, cell: Any) -> Any:
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if kind == "date" else cell.isoformat()
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    text = str(cell)
    if _WHOLE.fullmatch(text) or _DECIMAL.fullmatch(text) or _EXPONENT.fullmatch(text):
        return Message("call.cell_no_time", {"value": text})
    return cell


def _decimal_marks(cells: Iterable[Any]) -> set[str]:
    """The decimal marks of the file's numbers that can be read in one way only."""
    found = (_DECIMAL.fullmatch(cell.strip(BLANKS)) for cell in cells if isinstance(cell, str))
    return {match[2] for match in found if match is not None and not _may_be_thousands(match)}


def _may_be_thousands(match: re.Match[str]) -> bool:
    before, _, after = match.groups()
    return len(after) == 3 and 1 <= len(before) <= 3 and not before.startswith("0")


def _number(known: Field, cell: Any, marks: set[str]) -> Any:  # noqa: PLR0911 - one line for each form of a number
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return cell
    if not isinstance(cell, str):
        return Message("call.cell_no_number", {"value": _text(cell)})
    if _WHOLE.fullmatch(cell):
        return int(cell)
    if _EXPONENT.fullmatch(cell):
        return Message("call.cell_exponent", {"value": cell})
    match = _DECIMAL.fullmatch(cell)
    if match is None:
        code = "cell_thousands" if _GROUPED.fullmatch(cell) else "cell_no_number"
        return Message(f"call.{code}", {"value": cell})
    number = float(cell.replace(",", "."))
    if _may_be_thousands(match) and marks != {match[2]}:
        grouped = float(cell.replace(match[2], ""))
        impossible = not _within(known, grouped)
        if marks or not (impossible and _within(known, number)):
            return Message("call.cell_thousands", {"value": cell})
    return int(number) if number.is_integer() else number


def _within(known: Field, number: float) -> bool:
    low, high = known.low, known.high
    whole = not known.whole or number.is_integer()
    return whole and (low is None or number >= low) and (high is None or number <= high)
