"""Tables, bars and intervals as accessible HTML, and Altair charts, in the language and colours of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import altair as alt
import streamlit as st

from services.core.messages import Language
from services.dashboard.components.frontend import BLUE, GREEN, INK, LINE, ORANGE, PURPLE, QUIET, SKY, VERMILION

SERIES = [BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY]
"""Colours of categories, in order."""
_NUMBER_LOCALES = {
    "en": {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["", ""]},
    "fr": {"decimal": ",", "thousands": "\u202f", "grouping": [3], "currency": ["", ""], "percent": "\u202f%"},
}
_TIME_LOCALES = {
    "fr": {
        "dateTime": "%A %e %B %Y à %X", "date": "%d/%m/%Y", "time": "%H:%M:%S", "periods": ["", ""],
        "days": ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
        "shortDays": ["dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."],
        "months": ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
                   "novembre", "décembre"],
        "shortMonths": ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
                        "déc."],
    }
}  # fmt: skip


def apply_theme(chart: Any, language: Language, *, height: int | None = None) -> Any:
    """The chart with the dashboard's type size, colours and the language's numbers and dates."""
    locale: dict[str, Any] = {"number": _NUMBER_LOCALES[language]}
    if language in _TIME_LOCALES:
        locale["time"] = _TIME_LOCALES[language]
    if height is not None:
        chart = chart.properties(height=height)
    return (
        chart.configure(locale=locale, background="transparent", font="Source Sans, sans-serif")
        .configure_axis(labelFontSize=15, titleFontSize=15, labelColor=INK, titleColor=QUIET, gridColor=LINE)
        .configure_legend(labelFontSize=15, titleFontSize=15, labelColor=INK, titleColor=QUIET)
        .configure_title(fontSize=17, color=INK, anchor="start")
        .configure_range(category=SERIES)
        .configure_view(strokeWidth=0)
    )


def draw_chart(chart: Any, language: Language, *, height: int | None = None, key: str | None = None) -> None:
    """Draw an Altair chart over the full width."""
    st.altair_chart(apply_theme(chart, language, height=height), width="stretch", key=key, theme=None)


def colour_scale(domain: Sequence[str], colours: Sequence[str] | None = None) -> Any:
    """A scale that gives each word its colour."""
    return alt.Scale(domain=list(domain), range=list(colours or SERIES)[: len(domain)])


@dataclass(frozen=True, slots=True)
class Bar:
    title: str
    value: float
    text: str
    """The value in words and number."""
    strong: bool = False


def bars_html(items: Sequence[Bar], *, label: str, largest: float | None = None) -> str:
    """HTML of horizontal bars; those below zero go to the left of the line."""
    if not items:
        return ""
    low = min(0.0, *(bar.value for bar in items))
    high = max(0.0, *(bar.value for bar in items), largest or 0.0)
    room = (high - low) or 1.0
    # The words beside the bars need a quarter of the width on the side that they stand on.
    left = 26.0 if low < 0 else 0.0
    width = 100.0 - left - 26.0

    def at(value: float) -> float:
        return left + width * (value - low) / room

    rows = []
    for bar in items:
        start, end = sorted((at(0.0), at(bar.value)))
        side = f"left:calc({end:.1f}% + 6px)" if bar.value >= 0 else f"right:calc({100 - start:.1f}% + 6px)"
        up = " class='up'" if bar.value > 0 and (low < 0 or bar.strong) else ""
        weight = "font-weight:700" if bar.strong else ""
        rows.append(
            f"<div class='t' style='{weight}'>{escape(bar.title)}</div>"
            f"<div class='b'><i{up} style='left:{start:.1f}%;width:{max(end - start, 0.4):.1f}%'></i>"
            f"<span style='{side};{weight}'>{escape(bar.text)}</span></div>"
        )
    # ``at`` counts from the left edge; the line is placed by CSS's rule for backgrounds.
    return (
        f"<div class='v-bars' role='group' aria-label='{escape(label, quote=True)}' style='--zero:{at(0.0):.1f}%'>"
        + "".join(rows)
        + "</div>"
    )


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """A value with its interval, on a scale that begins at ``start``."""

    value: float
    lower: float
    upper: float
    texts: tuple[str, str]
    """Of the interval's ends."""
    mark: float | None = None
    """What it is held against, for example an objective."""
    mark_text: str = ""
    start: float = 0.0


def interval_html(item: IntervalBar, *, label: str, end: float | None = None) -> str:
    """HTML of a bar from the lower to the upper end. Beyond the mark it is hatched: colour is not needed to see it.
    ``end`` gives two spans one scale."""
    top = end or scale_end(item)
    room = (top - item.start) or 1.0

    def at(value: float) -> float:
        return min(100.0, max(0.0, 100.0 * (value - item.start) / room))

    def piece(low: float, high: float, kind: str) -> str:
        return f"<div class='span {kind}' style='left:{at(low):.1f}%;width:{max(at(high) - at(low), 0.6):.1f}%'></div>"

    pieces = []
    if item.mark is None or item.upper <= item.mark:
        pieces.append(piece(item.lower, item.upper, ""))
    else:
        if item.lower < item.mark:
            pieces.append(piece(item.lower, item.mark, ""))
        pieces.append(piece(max(item.lower, item.mark), item.upper, "late"))
    marks = ""
    if item.mark is not None and item.start <= item.mark <= top:
        place = at(item.mark)
        marks = (
            f"<div class='mark' style='left:{place:.1f}%'></div>"
            f"<div class='label top' style='left:{min(92.0, max(8.0, place)):.1f}%'>{escape(item.mark_text)}</div>"
        )
    low_at, high_at = at(item.lower), at(item.upper)
    if high_at - low_at < 22:  # the two labels would stand on each other
        middle = min(86.0, max(14.0, (low_at + high_at) / 2))
        labels = f"<div class='label low' style='left:{middle:.1f}%'>{escape(' – '.join(item.texts))}</div>"
    else:
        labels = "".join(
            f"<div class='label low' style='left:{min(94.0, max(6.0, place)):.1f}%'>{escape(text)}</div>"
            for place, text in ((low_at, item.texts[0]), (high_at, item.texts[1]))
        )
    return (
        f"<div class='v-scale' role='img' aria-label='{escape(label, quote=True)}'><div class='axis'></div>"
        + "".join(pieces)
        + f"<div class='middle' style='left:{at(item.value):.1f}%'></div>{marks}{labels}</div>"
    )


def scale_end(item: IntervalBar) -> float:
    """A round end of the scale that shows the interval and the mark."""
    furthest = max(item.upper, item.mark or item.upper) * 1.08
    return item.start + (furthest - item.start or 1.0)


Cell = str
"""Text. What is HTML already, such as a tag, stands in ``Html``."""


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[int] = ()) -> None:
    """``numbers``: indices of the columns that hold numbers, which stand to the right. The first names its row."""
    st.html(table_html(caption, columns, rows, numbers=numbers))


def table_html(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[int] = ()
) -> str:
    aside = frozenset(numbers)

    def kind(at: int) -> str:
        return " class='n'" if at in aside else ""

    head = "".join(f"<th scope='col'{kind(at)}>{_cell_html(name)}</th>" for at, name in enumerate(columns))
    body = "".join(
        "<tr>"
        + "".join(
            f"<th scope='row'{kind(at)}>{_cell_html(cell)}</th>"
            if at == 0
            else f"<td{kind(at)}>{_cell_html(cell)}</td>"
            for at, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f"<div class='v-table-frame' tabindex='0' role='region' aria-label='{escape(caption, quote=True)}'>"
        f"<table class='v-table' aria-label='{escape(caption, quote=True)}'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell_html(cell: Cell) -> str:
    return str(cell) if isinstance(cell, Html) else escape(cell)
