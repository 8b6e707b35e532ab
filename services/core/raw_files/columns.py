"""Reads the declared columns of a file (``Table.columns``) into typed ones, with every decision and loss on record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.contract.tables import Column, Finding, ParsedTable
from services.core.raw_files import times, values
from services.core.raw_files.values import Marks, Words

_EXPECTED = {
    "text": "a text",
    "identifier": "an identifier",
    "number": "a number",
    "code": "one of the known values",
    "truth": "yes or no",
    "date": "a date",
    "clock": "a time of day",
    "moment": "a date and a time",
}
_Reason = tuple[NDArray[np.bool_], str] | None
_MOSTLY = 0.5
"""Share of unreadable values from which on a column is suspicious as a whole."""


@dataclass(slots=True)
class TypedRows:
    """Rows of one file as typed columns beside ``line``, with the first reason to refuse each row."""

    rows: pd.DataFrame
    reason: pd.Series
    """"" where a row is good; of the same index as ``rows``, like ``column`` and ``value``."""
    column: pd.Series
    value: pd.Series
    findings: list[Finding] = field(default_factory=list)

    def refuse(self, bad: pd.Series, reason: str, column: str = "", value: pd.Series | None = None) -> None:
        """Refuse rows that were good so far."""
        now = bad.fillna(True).astype(bool) & (self.reason == "")
        if now.any():
            self.reason[now] = reason
            self.column[now] = column
            if value is not None:
                self.value[now] = value[now].astype(object)

    def lose(self, bad: pd.Series, text: str, column: str, value: pd.Series) -> None:
        """Report values that are missing from now on."""
        if bad.any():
            first = int(np.argmax(bad.to_numpy(dtype=bool)))
            line = int(self.rows["line"].iloc[first])
            self.findings.append(Finding("lost", column, text, int(bad.sum()), line, str(value.iloc[first])))

    def parsed(self, rows: pd.DataFrame) -> ParsedTable:
        """The canonical rows (of the same index, with ``line``) without those that are refused."""
        return ParsedTable.split(rows, self.reason, tuple(self.findings), self.column, self.value)


def read_columns(columns: Sequence[Column], frame: pd.DataFrame) -> TypedRows:
    """Read the columns of one file. ``frame`` has str columns as in the file, and ``line``.

    How numbers, dates and times are written is decided on all rows, and reported.
    """
    index = frame.index
    empty = pd.Series("", index=index, dtype=object)
    typed = TypedRows(frame[["line"]].astype("int64"), empty, empty.copy(), empty.copy())
    sources = {column.name: _source(column, frame) for column in columns}
    words = {
        column.name: values.read_words(_replaced(frame[source], column), column.missing)
        for column in columns
        if (source := sources[column.name]) is not None
    }
    marks = _decimal_marks(columns, words, typed)
    read: dict[str, pd.Series] = {}
    for column in columns:
        source = sources[column.name]
        if source is None:
            read[column.name] = _nothing(column, index)
            _report_absent(column, typed)
            continue
        read[column.name], bad, reason = _read(column, words[column.name], marks, _said(column, frame), typed)
        missing = words[column.name].spread(np.array([not word for word in words[column.name].words]))
        _report(column, source, frame[source], bad=bad, missing=np.asarray(missing), reason=reason, typed=typed)
    typed.rows = pd.DataFrame({"line": typed.rows["line"], **read}, index=index)
    return typed


def _source(column: Column, frame: pd.DataFrame) -> str | None:
    return next((name for name in column.sources if name in frame.columns), None)


def _replaced(series: pd.Series, column: Column) -> pd.Series:
    if not column.replaced:
        return series
    known = {
        word: column.replaced.get(word.strip().casefold(), word) for word in series.unique() if isinstance(word, str)
    }
    return series.map(known)


def _decimal_marks(columns: Sequence[Column], words: Mapping[str, Words], typed: TypedRows) -> Marks:
    numbers = [words[column.name] for column in columns if column.kind == "number" and column.name in words]
    marks = sum((values.count_marks(column) for column in numbers), Marks())
    if marks.comma:
        text = "decimal comma" if not marks.point else "decimal comma in some columns, decimal point in others"
        typed.findings.append(Finding("convention", "", text, marks.comma))
    return marks


def _said(column: Column, frame: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """What other columns say of a date or a time, per row."""
    said: dict[str, NDArray[np.float64]] = {}
    for source, pattern in column.said_by.items():
        if source in frame:
            parts = frame[source].astype("str").str.extract(re.compile(pattern))
            for name in parts:
                said[str(name)] = pd.to_numeric(parts[name], errors="coerce").to_numpy(dtype=np.float64)
    return {name: said_of for name, said_of in said.items() if not np.isnan(said_of).all()}


def _nothing(column: Column, index: pd.Index) -> pd.Series:
    if column.kind in {"date", "moment"}:
        return pd.Series(pd.NaT, index=index, dtype="datetime64[us]")
    text = column.kind in {"text", "identifier"} or _gives_text(column)
    return pd.Series("", index=index, dtype="str") if text else pd.Series(np.nan, index=index, dtype="float64")


def _gives_text(column: Column) -> bool:
    return column.kind == "code" and any(isinstance(value, str) for value in column.meaning.values())


def _read(
    column: Column, words: Words, marks: Marks, said: Mapping[str, NDArray[np.float64]], typed: TypedRows
) -> tuple[pd.Series, NDArray[np.bool_], _Reason]:
    """The typed column, which rows hold what is not readable, and which of these have a reason of their own."""
    there = np.array([word != "" for word in words.words], dtype=bool)
    index = typed.rows.index
    if column.kind in {"date", "clock", "moment"}:
        return _read_times(column, words, said, typed, there)
    if column.kind == "number":
        read, good = values.read_numbers(words, marks, column.low, column.high)
        if column.whole:
            good &= ~(read % 1 != 0)
        return pd.Series(words.spread(np.where(good, read, np.nan)), index=index), words.spread(there & ~good), None
    if column.kind == "truth":
        truth = [values.TRUTH.get(values.code(word)) for word in words.words]
        read = np.array([np.nan if value is None else float(value) for value in truth])
        return pd.Series(words.spread(read), index=index), words.spread(there & np.isnan(read)), None
    if column.kind == "code":
        known = [column.meaning.get(values.code(word)) for word in words.words]
        good = np.array([value is not None for value in known], dtype=bool)
        nothing: float | str = "" if _gives_text(column) else np.nan
        found = np.array([nothing if value is None else value for value in known])
        series = pd.Series(words.spread(found), index=index)
        return (series.astype("str") if nothing == "" else series.astype("float64")), words.spread(there & ~good), None
    texts = (
        values.read_each(words, values.identifier)
        if column.kind == "identifier"
        else np.array(words.words, dtype=object)
    )
    good = np.array([bool(text) for text in texts], dtype=bool)
    if column.pattern:
        form = re.compile(column.pattern)
        good &= np.array([form.fullmatch(text) is not None for text in texts], dtype=bool)
    rounded = np.array([column.kind == "identifier" and values.is_rounded(word) for word in words.words], dtype=bool)
    reason = (words.spread(rounded), "was rounded by a spreadsheet: the original file is needed")
    series = pd.Series(words.spread(np.where(good, texts, "")), index=index).astype("str")
    return series, words.spread(there & ~good), reason


def _read_times(
    column: Column,
    words: Words,
    said: Mapping[str, NDArray[np.float64]],
    typed: TypedRows,
    there: NDArray[np.bool_],
) -> tuple[pd.Series, NDArray[np.bool_], _Reason]:
    index = typed.rows.index
    reason: _Reason = None
    read = times.read_clock(words, column.digits, said) if column.kind == "clock" else times.read_dates(words, said)
    if column.kind == "date":
        read.days[read.seconds != 0] = np.nan  # it would lie on another day in another zone
    seconds = read.days * times.SECONDS_OF_DAY + read.seconds
    bad = words.spread(there & np.isnan(seconds))
    by_row = words.spread(seconds).astype(np.float64)
    if column.kind == "clock" and "hour" in said:
        other = (by_row // 3600 != said["hour"]) & ~np.isnan(said["hour"]) & ~np.isnan(by_row)
        bad, by_row = bad | other, np.where(other, np.nan, by_row)
        reason = (other, f"is not in the hour that {' and '.join(column.said_by)} says")
    source = column.sources[0]
    typed.findings += [Finding("convention", source, text, int(np.isfinite(by_row).sum())) for text in read.conventions]
    typed.findings += [Finding("warning", source, text, int(bad.sum())) for text in read.warnings]
    if column.kind == "clock":
        return pd.Series(by_row, index=index), bad, reason
    moments = np.full(len(by_row), np.datetime64("NaT"), dtype="datetime64[us]")
    known = np.isfinite(by_row)
    moments[known] = np.round(by_row[known] * 1e6).astype(np.int64).astype("datetime64[us]")
    return pd.Series(moments, index=index), bad, reason


def _report_absent(column: Column, typed: TypedRows) -> None:
    if column.needed:
        typed.refuse(pd.Series(True, index=typed.rows.index), f"{column.sources[0]} is empty", column.sources[0])
    elif len(typed.rows) and not column.optional:
        typed.findings.append(Finding("lost", column.sources[0], "the file has no such column", len(typed.rows)))


def _report(
    column: Column,
    source: str,
    written: pd.Series,
    *,
    bad: NDArray[np.bool_],
    missing: NDArray[np.bool_],
    reason: _Reason,
    typed: TypedRows,
) -> None:
    """Refuse the rows or count the values that are not readable."""
    expected = column.expected or _EXPECTED[column.kind]
    unreadable = pd.Series(bad, index=written.index)
    there = int((~missing).sum())
    if there and bad.sum() > _MOSTLY * there:
        first = int(np.argmax(bad))
        line = int(typed.rows["line"].iloc[first])
        text = f"most values are not {expected}"
        typed.findings.append(Finding("warning", source, text, int(bad.sum()), line, str(written.iloc[first])))
    refused = column.needed or column.strict
    for rows, text in [] if reason is None else [(pd.Series(reason[0], index=written.index), reason[1])]:
        if refused:
            typed.refuse(rows, f"{source} {text}", source, written)
        else:
            typed.lose(rows, text, source, written)
        unreadable &= ~rows
    if refused:
        typed.refuse(unreadable, f"{source} is not {expected}", source, written)
    else:
        typed.lose(unreadable, f"not {expected}", source, written)
    if column.needed:
        typed.refuse(pd.Series(missing, index=written.index), f"{source} is empty", source)
