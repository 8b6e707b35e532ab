"""Decodes and parses delimited text (CSV) into raw tables of strings; malformed rows are rejected with their line
number.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

from services.core.errors import VigieError


class RawTable(NamedTuple):
    """Parsed rows. ``rows`` has str columns (missing is "") and ``line``, the number of its first line; ``faults``
    has ``line``, ``reason`` and ``row``, the original text."""

    name: str
    rows: pd.DataFrame
    faults: pd.DataFrame
    may_be_cut_off: bool = False
    """Whether the last row does not end with a line break: programs write one, a broken transfer does not."""


def make_raw_table(name: str, rows: pd.DataFrame, faults: Sequence[tuple[int, str, str]] = ()) -> RawTable:
    table = pd.DataFrame(list(faults), columns=["line", "reason", "row"])
    return RawTable(name, rows, table.astype({"line": "int64", "reason": "str", "row": "str"}))


def unique_column_names(fields: Sequence[str]) -> list[str]:
    """Column names without surrounding blanks and byte order marks. A second ``x`` becomes ``x.1``, as in pandas;
    ``line`` is reserved for the line number."""
    taken = {"line"}
    names = []
    for field in fields:
        clean = field.strip().strip("\ufeff").strip()
        name, number = clean, 0
        while name in taken:
            number += 1
            name = f"{clean}.{number}"
        taken.add(name)
        names.append(name)
    return names


DELIMITERS = (",", ";", "\t", "|")
_CHUNK_ROWS = 50_000
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode_text(data: bytes, name: str) -> str:
    """Decode the bytes of a text file.

    Raises:
        VigieError: the bytes are not text.
    """
    if data.startswith(_UTF16_MARKS):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise _not_text(name, "it starts like UTF-16 and is not") from error
    if b"\0" in data:
        raise _not_text(name, "it holds zero bytes")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def read_header(text: str) -> tuple[list[str], str]:
    """Fields of the first non-blank line, and the delimiter: the one that splits that line into most fields. A line
    may stand in quotes as a whole."""
    best: tuple[list[str], str] = ([], DELIMITERS[0])
    for delimiter in DELIMITERS:
        try:
            rows = csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True)
            fields = next((row for row in rows if row), [])
        except csv.Error:
            continue
        if len(fields) > len(best[0]):
            best = (fields, delimiter)
    inside = best[0][0] if len(best[0]) == 1 else ""
    return read_header(inside) if "\n" not in inside and any(mark in inside for mark in DELIMITERS) else best


def parse_csv_bytes(data: bytes, name: str) -> RawTable:
    """Parse a delimited file.

    Raises:
        VigieError: the bytes are not text, or a field is so long that a closing quote must be missing.
    """
    return parse_csv_text(decode_text(data, name), name)


def parse_csv_text(text: str, name: str) -> RawTable:
    """Parse delimited text.

    Raises:
        VigieError: a field is so long that a closing quote must be missing.
    """
    fields, delimiter = read_header(text)
    if len(fields) > 1 and len(_first_row(text, delimiter)) == 1:
        text = _without_outer_quotes(text)
    text = _without_empty_end(text, delimiter)
    frame = _parse_fast(text, fields, delimiter)
    return make_raw_table(name, frame) if frame is not None else _parse_line_by_line(text, name, fields, delimiter)


def _blanks_after(delimiter: str, text: str) -> bool:
    """Whether a blank follows the delimiters of the header, before quotes too (``"a", "b"``)."""
    return any(field.startswith(" ") for field in _first_row(text, delimiter)[1:])


def _first_row(text: str, delimiter: str) -> list[str]:
    try:
        return next((row for row in csv.reader(_lines(text), delimiter=delimiter) if row), [])
    except csv.Error:
        return []


def _without_outer_quotes(text: str) -> str:
    """Remove the quotes around each line that is quoted as a whole, as spreadsheets write a line that is one cell."""

    def inner(line: str) -> str:
        body = line.rstrip("\r\n")
        whole = body.startswith('"') and body.endswith('"') and '"' not in body[1:-1].replace('""', "")
        return body[1:-1].replace('""', '"') + line[len(body) :] if whole else line

    return "".join(map(inner, _lines(text)))


def _without_empty_end(text: str, delimiter: str) -> str:
    """Remove the last lines that hold nothing but delimiters and blanks."""
    end = len(text)
    while end:
        start = text.rfind("\n", 0, end) + 1
        line = text[start:end]
        # A lone quote ends a field that began on a line before, and a quoted delimiter is a value.
        if not start or line.count('"') % 2 or line.strip(f'{delimiter}" \t\r\n') or _has_value(line, delimiter):
            break
        end = start - 1
    return text[:end]


def _has_value(line: str, delimiter: str) -> bool:
    return '"' in line and any(field.strip() for row in csv.reader([line], delimiter=delimiter) for field in row)


def _lines(text: str) -> Iterator[str]:
    return iter(io.StringIO(text, newline=""))


def _parse_fast(text: str, fields: list[str], delimiter: str) -> pd.DataFrame | None:
    """Parse with Arrow, several times faster, if every line is one row of the header's width; None for any other
    file."""
    body = text.rstrip("\r\n")
    breaks = body.count("\n")
    if (
        len(fields) < 2
        or text[:1] in "\r\n"
        or any("\n" in field or "\r" in field for field in fields)
        or body.count('"') % 2
        or body.count("\r") != body.count("\r\n")
        or "\n\n" in body
        or "\n\r\n" in body
        or _blanks_after(delimiter, text)
        or _ends_inside_quotes(body[body.rfind("\n") + 1 :], delimiter)
    ):
        return None
    names = unique_column_names(fields)
    if breaks == 0:
        return pd.DataFrame({name: pd.Series([], dtype="str") for name in names} | {"line": _integers([])})
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body.encode()),
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1, block_size=1 << 24),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != breaks:
        return None
    frame: pd.DataFrame = table.to_pandas()
    frame["line"] = _integers(range(2, breaks + 2))
    empty = np.array([not value.strip() for value in frame[names[0]]])
    empty[empty] = [not any(map(str.strip, row)) for row in frame.loc[empty, names].itertuples(index=False)]
    return frame[~empty].reset_index(drop=True) if empty.any() else frame


def _parse_line_by_line(text: str, name: str, fields: list[str], delimiter: str) -> RawTable:
    """Parse with the standard library, which knows each row's line number and skips malformed rows."""
    seen: list[str] = []

    def remember() -> Iterator[str]:
        for line in _lines(text):
            seen.append(line)
            yield line

    names = unique_column_names(fields)
    reader = csv.reader(remember(), delimiter=delimiter, skipinitialspace=_blanks_after(delimiter, text))
    frames: list[pd.DataFrame] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    faults: list[tuple[int, str, str]] = []
    before_header = True
    first, source = 0, ""
    try:
        for row in reader:
            first, source = reader.line_num - len(seen) + 1, "".join(seen)
            seen.clear()
            if not any(field.strip() for field in row):
                continue
            if before_header:
                before_header = False
                continue
            if len(row) == len(names) + 1 and row[-1] == "":
                row.pop()  # a trailing delimiter on every row but the header is common
            if len(row) != len(names):
                reason = f"the row has {len(row)} fields, the header {len(names)}"
                faults.append((first, reason, source.rstrip("\r\n")))
                continue
            if len(rows) == _CHUNK_ROWS:
                frames.append(_frame(names, rows, lines))
                rows, lines = [], []
            rows.append(row)
            lines.append(first)
    except csv.Error as error:
        raise VigieError(
            f"{name}: line {reader.line_num}: {error}.",
            expected="delimited text in which every quote that opens a field is closed",
            action="Look at the quotes from that line back, or fetch the file again.",
        ) from error
    if rows and lines[-1] == first and _ends_inside_quotes(source, delimiter):
        rows.pop()
        faults.append((lines.pop(), "the file ends inside a quoted field", source))
    frames.append(_frame(names, rows, lines))
    return make_raw_table(name, pd.concat(frames, ignore_index=True), faults)


def _ends_inside_quotes(row: str, delimiter: str) -> bool:
    """Whether the file was truncated inside a quoted field of its last row."""
    try:
        list(csv.reader(_lines(row), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _frame(names: list[str], rows: list[list[str]], lines: list[int]) -> pd.DataFrame:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    columns = {
        n: pd.Series(pa.array(v, pa.string()).to_pandas(), dtype="str") for n, v in zip(names, values, strict=True)
    }
    return pd.DataFrame(columns | {"line": _integers(lines)})


def _integers(values: range | list[int]) -> pd.Series[int]:
    return pd.Series(values, dtype="int64")


def _not_text(name: str, why: str) -> VigieError:
    return VigieError(
        f"{name} cannot be read as text: {why}.",
        expected="a CSV file in UTF-8, UTF-16 with a byte order mark, Windows-1252 or Latin-1",
        action="Export it again as UTF-8.",
    )
