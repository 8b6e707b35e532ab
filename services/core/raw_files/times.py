"""Reads dates, times of day and moments by formats that hold for a whole column.

``1/5/2023`` and ``07:49`` mean two things each. Which one is decided on all rows of the column, and by other columns
that say a part of it; where neither tells, the values are not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.raw_files.values import Words

Parts = Mapping[str, NDArray[np.float64]]
"""What other columns say: ``year``, ``month``, ``day`` and ``hour`` (n,), NaN where they say nothing."""
Digits = Literal["hours", "minutes", ""]

_DATE = re.compile(
    r"(?P<a>[0-9]{1,4})(?P<mark>[-/. ])(?P<b>[0-9]{1,2}|[^\W\d_]{3,9}\.?)(?P=mark)(?P<c>[0-9]{1,4})"
    r"(?:(?:T|,? +)(?P<time>[0-9].*))?"
)
_CLOCK = re.compile(
    r"(?P<h>[0-9]{1,2})[:hH](?P<m>[0-9]{2})(?::(?P<s>[0-9]{2})(?:[.,](?P<f>[0-9]+))?)?"
    r" ?(?:(?P<half>[aApP])\.?[mM]\.?)?(?:Z|[+-]00:?00)?"
)
_SERIAL = re.compile(r"[2-6][0-9]{4}(?:[.,][0-9]+)?")
_COMPACT = re.compile(r"(?:19|20)[0-9]{6}")
_DIGITS = re.compile(r"([0-9]{1,4})(?:[.,]0*)?")
_DAY_FRACTION = re.compile(r"0?[.,][0-9]+")
_EMPTY_DATES = {"1899-12-30", "1899-12-31", "1900-01-00", "1900-01-01"}
"""What spreadsheets write before a time that has no date."""
_SERIAL_ORIGIN = int((np.datetime64("1899-12-30") - np.datetime64("1970-01-01")).astype(int))
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january janv janvier", "feb february fev fév février fevrier", "mar march mars", "apr april avr avril",
            "may mai", "jun june juin", "jul july juil juillet", "aug august aou aoû août aout",
            "sep sept september septembre", "oct october octobre", "nov november novembre",
            "dec december déc décembre decembre",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_ORDERS = {"year first": ("ymd", "ydm"), "year last": ("dmy", "mdy"), "short year": ("dmy", "mdy", "ymd")}
_WRITTEN = {"ymd": "year, month, day", "ydm": "year, day, month", "dmy": "day before month", "mdy": "month before day"}
_AGREES, _DISAGREES = 0.9, 0.5
_MANY = 200
"""Rows from which on a column without a time after 13:00 is suspicious."""
SECONDS_OF_DAY = 86_400.0


@dataclass(slots=True)
class Times:
    """``days`` since 1970 and ``seconds`` of the day per word (k,), NaN where a word was not read."""

    days: NDArray[np.float64]
    seconds: NDArray[np.float64]
    conventions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_dates(column: Words, said: Parts | None = None) -> Times:
    """Read dates, with the time of day where one follows (0 where none does).

    Day and month are told apart by values above 12, or else by what other columns say of the same rows.
    """
    k = len(column.words)
    read = Times(np.full(k, np.nan), np.zeros(k))
    groups: dict[str, list[int]] = {}
    numbers = np.zeros((k, 3), dtype=np.int64)
    for place, word in enumerate(column.words):
        found = _DATE.fullmatch(word)
        if found is not None:
            kind, numbers[place] = _numbers_of(found)
            groups.setdefault(kind, []).append(place)
            if found["time"]:
                read.seconds[place] = clock_seconds(found["time"])
        elif _SERIAL.fullmatch(word):
            moment = float(word.replace(",", ".")) + _SERIAL_ORIGIN
            read.days[place], read.seconds[place] = moment // 1, round(moment % 1 * SECONDS_OF_DAY, 3)
            groups.setdefault("serial", []).append(place)
        elif _COMPACT.fullmatch(word):
            numbers[place] = int(word[:4]), int(word[4:6]), int(word[6:])
            groups.setdefault("compact", []).append(place)
    if _half_converted(groups, numbers):
        read.warnings.append("a spreadsheet took some of the dates for others (day for month); none of them is read")
        for kind in ("year first", "year last", "serial"):
            read.days[groups.pop(kind, [])] = np.nan
    for kind, members in groups.items():
        if kind != "serial":
            _decide(kind, np.array(members), numbers, column=column, said=said or {}, read=read)
        else:
            read.conventions.append("days counted by a spreadsheet")
    read.days[np.isnan(read.seconds)] = np.nan
    return read


def _half_converted(groups: Mapping[str, Sequence[int]], numbers: NDArray[np.int64]) -> bool:
    """Whether the dates of a column with the year last all have a part above 12, and its others none: a spreadsheet
    with the other order of day and month has left the first as text and turned the others round."""
    text, dates = numbers[groups.get("year last", [])], numbers[groups.get("year first", [])]
    if not len(text) or not len(dates):
        return False
    return bool((text[:, :2].max(axis=1) > 12).all() and (dates[:, 1:].max(axis=1) <= 12).all())


def _numbers_of(found: re.Match[str]) -> tuple[str, tuple[int, int, int]]:
    a, b, c = found["a"], found["b"], found["c"]
    if not b.isdigit():
        month = _MONTHS.get(b.rstrip(".").casefold(), 0)
        year = int(c) + (0 if len(c) == 4 else 2000 if int(c) < 69 else 1900)
        return "named", (int(a), month, year) if len(c) in {2, 4} and len(a) <= 2 else (0, 0, 0)
    if len(a) == 4 and len(c) <= 2:
        return "year first", (int(a), int(b), int(c))
    if len(a) <= 2 and len(c) == 4:
        return "year last", (int(a), int(b), int(c))
    return ("short year", (int(a), int(b), int(c))) if len(a) <= 2 and len(c) == 2 else ("named", (0, 0, 0))


def _decide(
    kind: str, members: NDArray[np.int64], numbers: NDArray[np.int64], *, column: Words, said: Parts, read: Times
) -> None:
    orders = _ORDERS.get(kind, ("dmy",) if kind == "named" else ("ymd",))
    meant = {order: _parts(numbers[members], order) for order in orders}
    days = {order: _days(parts) for order, parts in meant.items()}
    possible = _only_possible(days)
    agreement = {order: _agreement(meant[order], members, column, said) for order in possible}
    sure = [order for order in possible if agreement[order] >= _AGREES]
    others = [order for order in possible if order not in sure]
    same = len(possible) > 1 and all(
        np.array_equal(days[possible[0]], days[order], equal_nan=True) for order in possible
    )
    if kind == "year first" and sure != ["ydm"]:
        possible = ["ymd"]  # the standard, unless another column tells otherwise
    elif len(sure) == 1 and all(agreement[order] <= _DISAGREES for order in others):
        possible = sure
    if len(possible) == 1 or same:
        chosen = possible[0]
        if agreement.get(chosen, 1.0) < _DISAGREES and not read.seconds[members].any():
            # moments near midnight may lie on another day, in another zone
            read.warnings.append("the dates are not those that another column says; none of them is read")
            return
        read.days[members] = days[chosen]
        if kind in _ORDERS:
            read.conventions.append(f"dates as {_WRITTEN[chosen]}")
    else:
        read.warnings.append(
            "the dates can be read in two ways (day or month first) and nothing tells which; none of them is read"
            if possible
            else "the dates have the day first in some rows and the month first in others; none of them is read"
        )


def _only_possible(days: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """The orders in which every word is a date that is one in any order; none if the column mixes them."""
    any_order = np.any([~np.isnan(found) for found in days.values()], axis=0)
    whole = [order for order, found in days.items() if not np.isnan(found[any_order]).any()]
    return whole if any_order.any() else list(days)


def _parts(numbers: NDArray[np.int64], order: str) -> dict[str, NDArray[np.int64]]:
    names = {"y": "year", "m": "month", "d": "day"}
    parts = {names[letter]: numbers[:, place] for place, letter in enumerate(order)}
    short = parts["year"] < 100
    return parts | {"year": np.where(short, parts["year"] + np.where(parts["year"] < 69, 2000, 1900), parts["year"])}


def _days(parts: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float64]:
    dates = pd.to_datetime(pd.DataFrame(dict(parts)), errors="coerce").to_numpy(dtype="datetime64[D]")
    return np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(np.float64))


def _agreement(parts: Mapping[str, NDArray[np.int64]], members: NDArray[np.int64], column: Words, said: Parts) -> float:
    """Share of the rows of these words whose day and month are those that other columns say; 0 if none says any."""
    of_word = np.full(len(column.words), -1)
    of_word[members] = np.arange(len(members))
    place = of_word[column.places]
    rows = place >= 0
    equal, known = np.ones(int(rows.sum()), dtype=bool), np.zeros(int(rows.sum()), dtype=bool)
    for name in ("day", "month", "year"):
        if name in said:
            there = ~np.isnan(said[name][rows])
            known |= there
            equal &= ~there | (parts[name][place[rows]] == said[name][rows])
    return float(equal[known].mean()) if known.any() else float("nan")


def clock_seconds(text: str) -> float:
    """Seconds since midnight of ``7:05``, ``07:05:12.5``, ``7h05`` or ``7:05 PM``; NaN if it is no time of day."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return float("nan")
    hour, minute, second = int(found["h"]), int(found["m"]), float(f"{found['s'] or 0}.{found['f'] or 0}")
    if found["half"]:
        if not 1 <= hour <= 12:
            return float("nan")
        hour = hour % 12 + (12 if found["half"] in "pP" else 0)
    return hour * 3600 + minute * 60 + second if hour < 24 and minute < 60 and second < 60 else float("nan")


def read_clock(column: Words, digits: Digits = "", said: Parts | None = None) -> Times:
    """Read times of day: ``07:05``, ``7:05 PM``, digits without a colon, and parts of a day as spreadsheets count.

    Three or four digits are hours and minutes (``905``), and fewer too where no row has a colon (``20`` is 00:20).
    Elsewhere a leading zero (``07``) or another column tells what one or two digits are, or else ``digits``.
    """
    k = len(column.words)
    read = Times(np.zeros(k), np.full(k, np.nan))
    hours = (said or {}).get("hour")
    bare: list[int] = []
    parts: list[int] = []
    for place, word in enumerate(column.words):
        date, blank, time = word.partition(" ")
        if blank and date in _EMPTY_DATES:
            read.seconds[place] = clock_seconds(time)
        elif _DIGITS.fullmatch(word):
            bare.append(place)
        elif _DAY_FRACTION.fullmatch(word):
            parts.append(place)
        else:
            read.seconds[place] = clock_seconds(word)
    if parts and all(float(column.words[place].replace(",", ".")) == 0 for place in bare):
        read.conventions.append("times as parts of a day")
        for place in parts + bare:
            read.seconds[place] = round(float(column.words[place].replace(",", ".")) * SECONDS_OF_DAY) % SECONDS_OF_DAY
    elif bare:
        _read_bare(column, bare, digits, hours, read)
    known = ~np.isnan(read.seconds)
    rows = int(column.counts[known].sum())
    if rows >= _MANY and read.seconds[known].max() < 13 * 3600 and not (said or {}):
        read.warnings.append("no time is later than 13:00: they may be times of a 12-hour clock without AM and PM")
    return read


def _read_bare(
    column: Words, bare: Sequence[int], digits: Digits, hours: NDArray[np.float64] | None, read: Times
) -> None:
    texts = [_DIGITS.fullmatch(column.words[place])[1] for place in bare]  # type: ignore[index]
    zeros = any(len(text) == 2 and text.startswith("0") for text in texts)
    long = [len(text) > 2 for text in texts]
    for place, text in zip(bare, texts, strict=True):
        hour, minute = divmod(int(text), 100)
        if len(text) > 2 and hour < 24 and minute < 60:
            read.seconds[place] = hour * 3600.0 + minute * 60.0
    short = [place for place, is_long in zip(bare, long, strict=True) if not is_long]
    values = np.array([int(text) for text, is_long in zip(texts, long, strict=True) if not is_long], dtype=np.float64)
    if any(long):
        read.conventions.append("hours and minutes without a colon")
    if not short:
        return
    if any(long) and not zeros and len(bare) == sum(map(bool, column.words)):
        meant: Digits = "minutes"  # 20 is 00:20 where 905 is 09:05 and no row has a colon
    else:
        meant = _by_hours(column, short, values, hours) or ("hours" if zeros else digits)
    if meant == "hours":
        read.conventions.append("one or two digits are hours")
        read.seconds[short] = np.where(values < 24, values * 3600, np.nan)
    elif meant == "minutes":
        read.conventions.append("one or two digits are minutes past midnight")
        read.seconds[short] = np.where(values < 60, values * 60, np.nan)
    else:
        read.warnings.append("one or two digits can be hours or minutes and nothing tells which; none of them is read")


def _by_hours(
    column: Words, bare: Sequence[int], values: NDArray[np.float64], hours: NDArray[np.float64] | None
) -> Digits:
    """Whether the digits are the hours that another column says, or minutes past midnight as that column says 0."""
    if hours is None:
        return ""
    of_word = np.full(len(column.words), np.nan)
    of_word[list(bare)] = values
    written = of_word[column.places]
    rows = ~np.isnan(written) & ~np.isnan(hours)
    if not rows.any():
        return ""
    if (written[rows] == hours[rows]).mean() >= _AGREES:
        return "hours" if (hours[rows] != 0).any() else ""
    return "minutes" if (hours[rows] == 0).mean() >= _AGREES else ""
