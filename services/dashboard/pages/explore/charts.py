"""Charts of the training data: histograms, a target by group with intervals, calls by time, and the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from services.core.contract.use_case import UseCase
from services.core.messages.data import WEEKDAYS
from services.dashboard.components.data_display import apply_theme, colour_scale, draw_chart
from services.dashboard.components.feedback import empty_state
from services.dashboard.components.frontend import BLUE, INK
from services.dashboard.components.maps import map_extent, map_size, outline
from services.dashboard.session import Session

CALENDAR = ("hour", "weekday")
MAP_WIDTH = 620
"""Width in pixels."""
LONG_GROUPS = 14
"""Number of groups with long names above which the chart is horizontal."""


def histogram(session: Session, field: Mapping[str, Any], title: str) -> None:
    """Histogram of bin edges and counts, or bar chart of discrete values."""
    words = session.words
    if "steps" in field:
        rows: list[dict[str, Any]] = [
            {"x": step, "n": rows} for step, rows in zip(field["steps"], field["counts"], strict=True)
        ]
        bars = alt.Chart(alt.Data(values=rows)).mark_bar(color=BLUE).encode(x=alt.X("x:O", title=title))
    else:
        edges = field["edges"]
        rows = [
            {"x": low, "x2": high, "n": rows}
            for low, high, rows in zip(edges, edges[1:], field["counts"], strict=False)
        ]
        bars = (
            alt.Chart(alt.Data(values=rows))
            .mark_bar(color=BLUE, stroke="white", strokeWidth=1)
            .encode(x=alt.X("x:Q", title=title, bin="binned"), x2="x2:Q")
        )
    chart = bars.encode(y=alt.Y("n:Q", title=words("explore.examples")), tooltip=["x:Q", "n:Q"])
    draw_chart(chart, session.language, height=320)
    if "edges" in field:
        st.caption(words("explore.beyond"))


def group_title(session: Session, use_case: UseCase, column: str) -> str:
    if column in CALENDAR:
        return session.words(f"explore.by_{column}")
    return next(
        (session.words.of(item.title) for item in use_case.modelling.subgroups if item.column == column), column
    )


def by_group(
    session: Session, column: str, entries: Sequence[Mapping[str, Any]], *, title: str, labels: Sequence[str]
) -> None:
    """Mean or share of the target in each group with its interval; for classes the share of each."""
    if not entries:
        empty_state(session.words("explore.too_few"))
        return
    named = [dict(entry, group=_group_label(session, column, entry["group"])) for entry in entries]
    order = [entry["group"] for entry in named]
    below = column not in CALENDAR and (len(order) > LONG_GROUPS or max(map(len, order)) > 10)
    if labels:
        _shares(session, named, order, title=title, labels=labels, below=below)
        return
    value = alt.Scale(zero=False)
    fmt = ".1%" if max(entry["value"] for entry in named) <= 1 and min(entry["low"] for entry in named) >= -0.01 else ""
    axis = alt.Axis(format=fmt) if fmt else alt.Axis()
    flat = alt.Axis(labelAngle=0) if column in CALENDAR else alt.Axis()
    side = session.words(f"explore.by_{column}") if column in CALENDAR else None
    where = alt.Y("group:N", sort=order, title=None) if below else alt.X("group:N", sort=order, title=side, axis=flat)
    base = alt.Chart(alt.Data(values=named))
    tooltip = [alt.Tooltip("group:N"), alt.Tooltip("value:Q", format=fmt or ",.1f"), alt.Tooltip("rows:Q", format=",")]
    if below:
        lines = base.mark_rule(color=INK, strokeWidth=2).encode(
            x=alt.X("low:Q", scale=value, axis=axis, title=title), x2="high:Q", y=where
        )
        dots = base.mark_circle(color=BLUE, size=110, opacity=1).encode(x="value:Q", y=where, tooltip=tooltip)
    else:
        lines = base.mark_rule(color=INK, strokeWidth=2).encode(
            y=alt.Y("low:Q", scale=value, axis=axis, title=title), y2="high:Q", x=where
        )
        dots = base.mark_circle(color=BLUE, size=110, opacity=1).encode(y="value:Q", x=where, tooltip=tooltip)
    draw_chart(lines + dots, session.language, height=max(320, 24 * len(order)) if below else 360)
    st.caption(f"{session.words('explore.mean')}, {session.words('explore.interval')}")


def _shares(
    session: Session,
    entries: Sequence[Mapping[str, Any]],
    order: Sequence[str],
    *,
    title: str,
    labels: Sequence[str],
    below: bool,
) -> None:
    rows = [
        {"group": entry["group"], "label": label, "share": share, "at": at, "rows": entry["rows"]}
        for entry in entries
        for at, (label, share) in enumerate(zip(labels, entry["shares"], strict=True))
    ]
    share: dict[str, Any] = {
        "stack": "zero",
        "axis": alt.Axis(format=".0%"),
        "title": title,
        "scale": alt.Scale(domain=[0, 1]),
    }
    where: dict[str, Any] = {"sort": list(order), "title": None}
    if not below:
        where["axis"] = alt.Axis(labelAngle=0)
    place: dict[str, Any] = (
        {"x": alt.X("share:Q", **share), "y": alt.Y("group:N", **where)}
        if below
        else {"y": alt.Y("share:Q", **share), "x": alt.X("group:N", **where)}
    )
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(stroke="white", strokeWidth=1)
        .encode(
            color=alt.Color(
                "label:N", scale=colour_scale(labels), sort=list(labels), title=session.words("explore.class")
            ),
            order="at:Q",
            tooltip=[alt.Tooltip("group:N"), alt.Tooltip("label:N"), alt.Tooltip("share:Q", format=".1%")],
            **place,
        )
    )
    draw_chart(chart, session.language, height=max(320, 24 * len(order)) if below else 360)


def time_charts(session: Session, found: Mapping[str, Any]) -> None:
    words = session.words
    if not found:
        empty_state(words("explore.no_times"))
        return
    if len(found.get("month", [])) > 1:
        rows = [{"x": f"{month}-01", "n": rows} for month, rows in found["month"]]
        line = (
            alt.Chart(alt.Data(values=rows))
            .mark_line(color=BLUE, strokeWidth=3, point={"filled": True, "size": 60, "color": BLUE})
            .encode(
                x=alt.X("yearmonth(x):T", title=words("explore.month")),
                y=alt.Y("n:Q", title=words("explore.examples"), scale=alt.Scale(zero=True)),
            )
        )
        draw_chart(line, session.language, height=280)
    for part in CALENDAR:
        if found.get(part):
            order = [_group_label(session, part, name) for name, _ in found[part]]
            rows = [{"x": _group_label(session, part, name), "n": rows} for name, rows in found[part]]
            chart = (
                alt.Chart(alt.Data(values=rows))
                .mark_bar(color=BLUE)
                .encode(
                    x=alt.X("x:N", sort=order, title=words(f"explore.by_{part}"), axis=alt.Axis(labelAngle=0)),
                    y=alt.Y("n:Q", title=words("explore.examples")),
                )
            )
            draw_chart(chart, session.language, height=260)


def places_map(session: Session, use_case: UseCase, found: Mapping[str, Any] | None) -> None:
    """Map of grid cells or named locations on the use case's outline."""
    words, place = session.words, use_case.presentation.map
    if found is None or place is None or not place.lines:
        empty_state(words("explore.no_map"))
        return
    (left, right), (low, high) = map_extent(place)
    x: dict[str, Any] = {"scale": alt.Scale(domain=[left, right], zero=False), "axis": None}
    y: dict[str, Any] = {"scale": alt.Scale(domain=[low, high], zero=False), "axis": None}
    color = alt.Color(
        "n:Q",
        title=words("explore.examples"),
        scale=alt.Scale(type="log", scheme="viridis", reverse=True),
        legend=alt.Legend(orient="bottom"),
    )
    tooltip = [alt.Tooltip("n:Q", title=words("explore.examples"), format=",")]
    base = alt.Chart(alt.Data(values=[_cell(cell, found["size"]) for cell in found["cells"]]))
    if found["size"] is None:
        drawn = base.mark_circle(opacity=1, stroke="white").encode(
            x=alt.X("x:Q", **x), y=alt.Y("y:Q", **y), size=alt.Size("n:Q", legend=None), color=color, tooltip=tooltip
        )
    else:
        drawn = base.mark_rect(clip=True).encode(
            x=alt.X("l:Q", **x), x2="r:Q", y=alt.Y("b:Q", **y), y2="t:Q", color=color, tooltip=tooltip
        )
    chart = alt.layer(drawn, outline(place)).properties(**map_size(place, MAP_WIDTH))
    st.altair_chart(apply_theme(chart, session.language), theme=None, width="content")
    formats = session.formats
    st.caption(words("explore.map_text", rows=formats.number(found["rows"]), cells=formats.number(len(found["cells"]))))


def _cell(cell: Sequence[float], side: float | None) -> dict[str, float]:
    x, y, rows = cell
    if side is None:
        return {"x": x, "y": y, "n": rows}
    half = side / 2
    return {"n": rows, "l": x - half, "r": x + half, "b": y - half, "t": y + half}


def _group_label(session: Session, column: str, name: str) -> str:
    if column == "weekday" and name.isdigit():
        return WEEKDAYS[session.language][int(name)]
    return name
