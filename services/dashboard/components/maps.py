"""Maps without tiles: a use case's outline, the locations that its model knows, and points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from services.core.contract.use_case import MapSpec, UseCase
from services.dashboard.components.data_display import apply_theme
from services.dashboard.components.frontend import BLUE, GREEN, QUIET, SKY, VERMILION
from services.dashboard.components.use_cases import title_of
from services.dashboard.session import Session

_CELLS = 46
"""Clickable squares along the longer side."""
SELECTION = "place"
Lines = tuple[tuple[tuple[float, float], ...], ...]


def outline(place: MapSpec) -> Any:
    rows = [
        {"line": number, "order": order, "x": x, "y": y, "area": line[0] == line[-1]}
        for number, line in enumerate(place.lines)
        for order, (x, y) in enumerate(line)
    ]
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(opacity=0.9)
        .encode(
            color=alt.condition("datum.area", alt.value(QUIET), alt.value(SKY)),
            strokeWidth=alt.condition("datum.area", alt.value(2), alt.value(3)),
            x=_x(place),
            y=_y(place),
            detail="line:N",
            order="order:Q",
            tooltip=alt.value(None),
        )
    )


def map_size(place: MapSpec, width: int) -> dict[str, int]:
    """Width and height in pixels without distortion: degrees of longitude shrink with the latitude."""
    (low_x, high_x), (low_y, high_y) = map_extent(place)
    across = (high_x - low_x) * (math.cos(math.radians((low_y + high_y) / 2)) if place.degrees else 1.0)
    return {"width": width, "height": round(width * (high_y - low_y) / across)}


def map_extent(place: MapSpec) -> tuple[tuple[float, float], tuple[float, float]]:
    """(west, east), (south, north) bounds of the map."""
    return _extent(place.lines)


@lru_cache(maxsize=32)
def _extent(lines: Lines) -> tuple[tuple[float, float], tuple[float, float]]:
    xs = [x for line in lines for x, _ in line]
    ys = [y for line in lines for _, y in line]
    gap_x, gap_y = 0.03 * (max(xs) - min(xs)), 0.03 * (max(ys) - min(ys))
    return (min(xs) - gap_x, max(xs) + gap_x), (min(ys) - gap_y, max(ys) + gap_y)


def clickable_map(
    session: Session,
    use_case: UseCase,
    places: Mapping[str, tuple[float, float]],
    chosen: tuple[float, float] | None,
    *,
    key: str,
    on_click: Any,
) -> None:
    """Show a map for selecting a location; ``on_click`` is called without arguments and reads the event by ``key``
    (see ``clicked_point``)."""
    place = use_case.presentation.map
    assert place is not None
    words = session.words
    picked = alt.selection_point(name=SELECTION, fields=["x", "y", "name"], on="click", empty=False, clear=False)
    in_request = place.x in use_case.serving.request.model_fields
    layers = [_area_layer(place), outline(place)]
    if places:
        frame = pd.DataFrame([{"name": name, "x": x, "y": y} for name, (x, y) in places.items()])
        layers.append(
            alt.Chart(frame)
            .mark_square(size=60 if not in_request else 34, color=GREEN, opacity=0.9, cursor="pointer")
            .encode(x=_x(place), y=_y(place), tooltip=[alt.Tooltip("name:N", title=words("call.known_place"))])
        )
    if chosen is not None:
        layers.append(
            alt.Chart(pd.DataFrame([{"x": chosen[0], "y": chosen[1]}]))
            .mark_point(shape="cross", size=420, color=VERMILION, filled=True, strokeWidth=1, stroke="white")
            .encode(x=_x(place), y=_y(place), tooltip=alt.value(None))
        )
    if in_request:  # invisible top layer that receives every click
        layers.append(_click_layer(session, use_case, place).add_params(picked))
    elif places:
        layers[2] = layers[2].add_params(picked)
    chart = alt.layer(*layers).properties(**map_size(place, 460))
    st.altair_chart(apply_theme(chart, session.language), key=key, on_select=on_click, theme=None, width="content")


def clicked_point(key: str) -> dict[str, Any] | None:
    """The selected point: x, y and, for a known location, its name."""
    event = st.session_state.get(key)
    points = event.selection.get(SELECTION) if event is not None else None
    return dict(points[0]) if points else None


@lru_cache(maxsize=16)
def _cells(lines: Lines, degrees: bool) -> pd.DataFrame:
    """Squares whose centre is inside the area."""
    (low_x, high_x), (low_y, high_y) = _extent(lines)
    ratio = math.cos(math.radians((low_y + high_y) / 2)) if degrees else 1.0
    step_y = max((high_x - low_x) * ratio, high_y - low_y) / _CELLS
    step_x = step_y / ratio
    digits = 2 if degrees else -2
    areas = [line for line in lines if line[0] == line[-1]]
    rows = []
    for row in range(math.ceil((high_y - low_y) / step_y)):
        for column in range(math.ceil((high_x - low_x) / step_x)):
            x, y = low_x + (column + 0.5) * step_x, low_y + (row + 0.5) * step_y
            if any(_in_polygon(area, x, y) for area in areas):
                rows.append(
                    {
                        "x": round(x, digits),
                        "y": round(y, digits),
                        "left": x - step_x / 2,
                        "right": x + step_x / 2,
                        "low": y - step_y / 2,
                        "high": y + step_y / 2,
                        "name": "",
                    }
                )
    return pd.DataFrame(rows)


def _area_layer(place: MapSpec) -> Any:
    """Layer that fills the area with squares."""
    return (
        alt.Chart(_cells(place.lines, place.degrees))
        .mark_rect(color="#DCE7EE", stroke="white", strokeWidth=0.4)
        .encode(x=_x(place, "left"), x2="right:Q", y=_y(place, "low"), y2="high:Q", tooltip=alt.value(None))
    )


def _click_layer(session: Session, use_case: UseCase, place: MapSpec) -> Any:
    titles = [title_of(use_case, name, session.words) for name in (place.x, place.y)]
    form = ".2f" if place.degrees else ",.0f"
    return (
        alt.Chart(_cells(place.lines, place.degrees))
        .mark_rect(color="white", opacity=0.0, cursor="pointer")
        .encode(
            x=_x(place, "left"),
            x2="right:Q",
            y=_y(place, "low"),
            y2="high:Q",
            tooltip=[
                alt.Tooltip("x:Q", title=titles[0], format=form),
                alt.Tooltip("y:Q", title=titles[1], format=form),
            ],
        )
    )


def calls_map(
    session: Session, use_case: UseCase, points: Sequence[Mapping[str, Any]], *, key: str, width: int = 430
) -> None:
    """Show calls as points. Each has x, y, ``risk`` (a word) and ``title``; shape and colour both encode the risk."""
    place = use_case.presentation.map
    assert place is not None
    words = session.words
    kinds = [words("board.risk_yes"), words("board.risk_no"), words("board.risk_none")]
    layers = [outline(place)]
    if points:
        layers.append(
            alt.Chart(pd.DataFrame(list(points)))
            .mark_point(size=110, filled=True, opacity=0.85, stroke="white", strokeWidth=0.7)
            .encode(
                x=_x(place),
                y=_y(place),
                shape=alt.Shape(
                    "risk:N",
                    scale=alt.Scale(domain=kinds, range=["triangle-up", "circle", "square"]),
                    legend=alt.Legend(title=None, orient="bottom"),
                ),
                color=alt.Color(
                    "risk:N",
                    scale=alt.Scale(domain=kinds, range=[VERMILION, BLUE, SKY]),
                    legend=alt.Legend(title=None, orient="bottom"),
                ),
                tooltip=[alt.Tooltip("title:N", title=words("board.call"))],
            )
        )
    chart = alt.layer(*layers).properties(**map_size(place, width))
    st.altair_chart(apply_theme(chart, session.language), key=key, theme=None, width="content")


def _in_polygon(area: Sequence[tuple[float, float]], x: float, y: float) -> bool:
    """Point-in-polygon test (even-odd rule)."""
    found = False
    for (x1, y1), (x2, y2) in pairwise(area):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            found = not found
    return found


def _x(place: MapSpec, field: str = "x") -> Any:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=list(map_extent(place)[0]), zero=False), axis=None)


def _y(place: MapSpec, field: str = "y") -> Any:
    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=list(map_extent(place)[1]), zero=False), axis=None)
