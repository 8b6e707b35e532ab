"""Tables, bars and intervals as accessible HTML, and Altair charts, in the language and colours of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import streamlit as st
from babel import Locale
from jinja2 import Environment, FileSystemLoader

from services.core.messages import NARROW_SPACE, Language
from services.dashboard.components.frontend import BLUE, GREEN, INK, LINE, ORANGE, PURPLE, QUIET, SKY, VERMILION

SERIES = [BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY]
"""Categorical palette, in order."""
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


class Html(str):
    """A string that is HTML and is not escaped again."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def render_template(name: str, **values: Any) -> Html:
    """Render a template of this folder as HTML; values are escaped unless they are ``Html``."""
    return Html(_TEMPLATES.get_template(name).render(**values))


@cache
def chart_locale(language: Language) -> dict[str, Any]:
    """Vega's number and date locale."""
    locale = Locale.parse(language)
    symbols, gap = locale.number_symbols["latn"], NARROW_SPACE if language == "fr" else ""
    number = {
        "decimal": symbols["decimal"],
        "thousands": symbols["group"],
        "grouping": [3],
        "currency": ["", ""],
        "percent": f"{gap}%",
    }
    if language == "en":
        return {"number": number}
    days = [6, *range(6)]  # Vega's week starts on Sunday, Babel's on Monday
    time = {
        "dateTime": "%A %e %B %Y à %X",
        "date": "%d/%m/%Y",
        "time": "%H:%M:%S",
        "periods": ["", ""],
        "days": [locale.days["format"]["wide"][day] for day in days],
        "shortDays": [locale.days["format"]["abbreviated"][day] for day in days],
        "months": [locale.months["format"]["wide"][month] for month in range(1, 13)],
        "shortMonths": [locale.months["format"]["abbreviated"][month] for month in range(1, 13)],
    }
    return {"number": number, "time": time}


def apply_theme(chart: Any, language: Language, *, height: int | None = None) -> Any:
    """Apply the dashboard's font size and colours and the language's locale to a chart."""
    if height is not None:
        chart = chart.properties(height=height)
    return (
        chart.configure(locale=chart_locale(language), background="transparent", font="Source Sans, sans-serif")
        .configure_axis(labelFontSize=15, titleFontSize=15, labelColor=INK, titleColor=QUIET, gridColor=LINE)
        .configure_legend(labelFontSize=15, titleFontSize=15, labelColor=INK, titleColor=QUIET)
        .configure_title(fontSize=17, color=INK, anchor="start")
        .configure_range(category=SERIES)
        .configure_view(strokeWidth=0)
    )


def draw_chart(chart: Any, language: Language, *, height: int | None = None, key: str | None = None) -> None:
    """Render an Altair chart at full width."""
    st.altair_chart(apply_theme(chart, language, height=height), width="stretch", key=key, theme=None)


def colour_scale(domain: Sequence[str], colours: Sequence[str] | None = None) -> Any:
    """Colour scale of a categorical domain."""
    return alt.Scale(domain=list(domain), range=list(colours or SERIES)[: len(domain)])


@dataclass(frozen=True, slots=True)
class Bar:
    """One labelled bar."""

    title: str
    value: float
    text: str
    """The value as shown, number and unit."""
    strong: bool = False


def bars_html(items: Sequence[Bar], *, label: str, largest: float | None = None) -> str:
    """HTML of horizontal bars; negative ones extend to the left of the zero line."""
    if not items:
        return ""
    low = min(0.0, *(bar.value for bar in items))
    high = max(0.0, *(bar.value for bar in items), largest or 0.0)
    room = (high - low) or 1.0
    # The label of a bar takes a quarter of the width on its side.
    left = 26.0 if low < 0 else 0.0
    width = 100.0 - left - 26.0

    def at(value: float) -> float:
        return left + width * (value - low) / room

    bars = []
    for bar in items:
        start, end = sorted((at(0.0), at(bar.value)))
        bars.append(
            {
                "title": bar.title,
                "text": bar.text,
                "strong": bar.strong,
                "up": bar.value > 0 and (low < 0 or bar.strong),
                "right_of_line": bar.value >= 0,
                "start": start,
                "end": end,
                "width": max(end - start, 0.4),
            }
        )
    # ``at`` is measured from the left edge; CSS places the line by its rule for backgrounds.
    return render_template("bars.html", label=label, zero=at(0.0), bars=bars)


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """A value with its interval, on a scale that starts at ``start``."""

    value: float
    lower: float
    upper: float
    texts: tuple[str, str]
    """Labels of the interval's ends."""
    mark: float | None = None
    """Reference value, for example an objective."""
    mark_text: str = ""
    start: float = 0.0


def interval_html(item: IntervalBar, *, label: str, end: float | None = None) -> str:
    """HTML of a bar from the lower to the upper end. Beyond the reference it is hatched, so that it is visible without
    colour. ``end`` gives two intervals the same scale."""
    top = end or scale_end(item)
    room = (top - item.start) or 1.0

    def at(value: float) -> float:
        return min(100.0, max(0.0, 100.0 * (value - item.start) / room))

    def span(low: float, high: float, kind: str = "") -> dict[str, Any]:
        return {"kind": kind, "start": at(low), "width": max(at(high) - at(low), 0.6)}

    if item.mark is None or item.upper <= item.mark:
        spans = [span(item.lower, item.upper)]
    else:
        within = [span(item.lower, item.mark)] if item.lower < item.mark else []
        spans = [*within, span(max(item.lower, item.mark), item.upper, "late")]
    low_at, high_at = at(item.lower), at(item.upper)
    if high_at - low_at < 22:  # the two labels would overlap
        labels = [(min(86.0, max(14.0, (low_at + high_at) / 2)), " – ".join(item.texts))]
    else:
        labels = [(min(94.0, max(6.0, place)), text) for place, text in zip((low_at, high_at), item.texts, strict=True)]
    return render_template(
        "interval.html",
        label=label,
        spans=spans,
        middle=at(item.value),
        mark=None if item.mark is None or not item.start <= item.mark <= top else at(item.mark),
        mark_text=item.mark_text,
        labels=labels,
    )


def scale_end(item: IntervalBar) -> float:
    """A round upper end of the scale that covers interval and reference."""
    furthest = max(item.upper, item.mark or item.upper) * 1.08
    return item.start + (furthest - item.start or 1.0)


Cell = str
"""Cell text; use ``Html`` for markup such as a badge."""


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[int] = ()) -> None:
    """Render an HTML table. ``numbers``: indices of right-aligned columns. The first column is the row header."""
    st.html(table_html(caption, columns, rows, numbers=numbers))


def table_html(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[int] = ()
) -> str:
    return render_template("table.html", caption=caption, columns=columns, rows=rows, numbers=numbers)
