"""A request's fields as people call them, and their distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.usecases.contract import UseCase
from services.dashboard.charts import Bar, bars
from services.dashboard.pages.explore_charts import histogram
from services.dashboard.session import Session
from services.dashboard.states import empty


def field_title(session: Session, use_case: UseCase, name: str) -> str:
    info = use_case.request.model_fields[name]
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    french = str(extra.get("x-title-fr") or "")
    return (french if session.language == "fr" and french else info.title) or name


def field_unit(use_case: UseCase, name: str) -> str:
    extra = use_case.request.model_fields[name].json_schema_extra
    return str(extra.get("x-unit") or "") if isinstance(extra, dict) else ""


def show_field(session: Session, use_case: UseCase, fields: Mapping[str, Any]) -> None:
    words = session.words
    names = [name for name in fields if name in use_case.request.model_fields]
    names.sort(key=lambda name: not _has_picture(fields[name]))  # what has something to show comes first
    name = st.selectbox(
        words("explore.field"),
        names,
        format_func=lambda name: field_title(session, use_case, name),
        key=f"explore-field-{use_case.name}",
    )
    field = fields[name]
    if field["missing"] >= 1:
        empty(words("explore.always_missing"))
    elif field["kind"] == "number":
        _number(session, use_case, name, field)
    elif "values" in field:
        _words(session, use_case, name, field)
    elif field["kind"] == "flag":
        total = field["true"] + field["false"]
        counts = [(words("explore.yes"), field["true"]), (words("explore.no"), field["false"])]
        _bars(session, field_title(session, use_case, name), counts, total)
    else:
        st.write(words("explore.picture_field" if field["kind"] == "image" else "explore.time_field"))


def _has_picture(field: Mapping[str, Any]) -> bool:
    return field["missing"] < 1 and (field["kind"] in {"number", "flag"} or "values" in field)


def show_missing(session: Session, use_case: UseCase, fields: Mapping[str, Any]) -> None:
    words = session.words
    found = [(name, field["missing"]) for name, field in fields.items() if field["missing"] > 0]
    if not found:
        st.write(words("explore.nothing_missing"))
        return
    found.sort(key=lambda line: -line[1])
    items = [
        Bar(field_title(session, use_case, name), share, session.formats.percent(share, 1)) for name, share in found
    ]
    st.html(bars(items, label=words("explore.missing"), largest=1.0))


def _number(session: Session, use_case: UseCase, name: str, field: Mapping[str, Any]) -> None:
    unit = field_unit(use_case, name)
    summary(session, field, unit)
    title = field_title(session, use_case, name) + (f" ({unit})" if unit else "")
    histogram(session, field, title)


def summary(session: Session, field: Mapping[str, Any], unit: str) -> None:
    formats = session.formats

    def said(value: float) -> str:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return formats.quantity(value, unit, digits)

    st.write(
        session.words(
            "explore.overall_mean",
            mean=said(field["mean"]),
            median=said(field["median"]),
            low=said(field["lower_quartile"]),
            high=said(field["upper_quartile"]),
            rows=formats.number(sum(field["counts"])),
        )
    )


def _words(session: Session, use_case: UseCase, name: str, field: Mapping[str, Any]) -> None:
    words = session.words
    st.write(words("explore.distinct", count=session.formats.number(field["distinct"])))
    counts = [(word, rows) for word, rows in field["values"]]
    total = sum(rows for _, rows in counts) + field["others"]
    if field["others"]:
        counts.append((words("explore.others"), field["others"]))
    _bars(session, field_title(session, use_case, name), counts, total)


def _bars(session: Session, label: str, counts: list[tuple[str, int]], total: int) -> None:
    formats = session.formats
    items = [
        Bar(title, rows, f"{formats.number(rows)} ({formats.percent(rows / max(total, 1), 1)})")
        for title, rows in counts
    ]
    st.html(bars(items, label=label))
