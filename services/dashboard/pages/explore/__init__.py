"""The page Explore: distributions of targets and fields in the training data, and the pipeline as a diagram."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from services.core.contract.use_case import UseCase
from services.core.steps import STEPS
from services.dashboard import drafts
from services.dashboard.api.client import ResourceNotFoundError, Service
from services.dashboard.components.data_display import Bar, bars_html
from services.dashboard.components.feedback import empty_state, error_boundary, loading_spinner, notice
from services.dashboard.components.use_cases import choose_use_case, fields_of, title_of
from services.dashboard.pages.explore.charts import by_group, group_title, histogram, places_map, time_charts
from services.dashboard.session import Session


def show_field(session: Session, use_case: UseCase, fields: Mapping[str, Any]) -> None:
    words = session.words
    names = [name for name in fields if name in use_case.serving.request.model_fields]
    names.sort(key=lambda name: not _has_distribution(fields[name]))  # fields with a distribution first
    name = st.selectbox(
        words("explore.field"),
        names,
        format_func=lambda name: title_of(use_case, name, session.words),
        key=drafts.kept(f"explore-field-{use_case.name}", names),
    )
    field = fields[name]
    if field["missing"] >= 1:
        empty_state(words("explore.always_missing"))
    elif field["kind"] == "number":
        _number(session, use_case, name, field)
    elif "values" in field:
        _categories(session, use_case, name, field)
    elif field["kind"] == "flag":
        total = field["true"] + field["false"]
        counts = [(words("explore.yes"), field["true"]), (words("explore.no"), field["false"])]
        _bars(session, title_of(use_case, name, session.words), counts, total)
    else:
        st.write(words("explore.picture_field" if field["kind"] == "image" else "explore.time_field"))


def _has_distribution(field: Mapping[str, Any]) -> bool:
    return field["missing"] < 1 and (field["kind"] in {"number", "flag"} or "values" in field)


def show_missing(session: Session, use_case: UseCase, fields: Mapping[str, Any]) -> None:
    words = session.words
    found = [(name, field["missing"]) for name, field in fields.items() if field["missing"] > 0]
    if not found:
        st.write(words("explore.nothing_missing"))
        return
    found.sort(key=lambda line: -line[1])
    items = [
        Bar(title_of(use_case, name, session.words), share, session.formats.percent(share, 1)) for name, share in found
    ]
    st.html(bars_html(items, label=words("explore.missing"), largest=1.0))


def _number(session: Session, use_case: UseCase, name: str, field: Mapping[str, Any]) -> None:
    unit = fields_of(use_case.serving.request)[name].unit
    number_summary(session, field, unit)
    title = title_of(use_case, name, session.words) + (f" ({unit})" if unit else "")
    histogram(session, field, title)


def number_summary(session: Session, field: Mapping[str, Any], unit: str) -> None:
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


def _categories(session: Session, use_case: UseCase, name: str, field: Mapping[str, Any]) -> None:
    words = session.words
    st.write(words("explore.distinct", count=session.formats.number(field["distinct"])))
    counts = [(word, rows) for word, rows in field["values"]]
    total = sum(rows for _, rows in counts) + field["others"]
    if field["others"]:
        counts.append((words("explore.others"), field["others"]))
    _bars(session, title_of(use_case, name, session.words), counts, total)


def _bars(session: Session, label: str, counts: list[tuple[str, int]], total: int) -> None:
    formats = session.formats
    items = [
        Bar(title, rows, f"{formats.number(rows)} ({formats.percent(rows / max(total, 1), 1)})")
        for title, rows in counts
    ]
    st.html(bars_html(items, label=label))


SECTIONS = ("targets", "fields", "missing", "times", "map", "pipeline")


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_explore"))
    use_case = choose_use_case(session, key="explore")
    if use_case is None:
        empty_state(words("asking.no_use_case"), words("asking.no_use_case_text"))
        return
    section = st.segmented_control(
        words("explore.section"),
        SECTIONS,
        default=SECTIONS[0],
        format_func=lambda name: words(f"explore.{name}"),
        key=drafts.kept("explore-section"),
        required=True,
    )
    if section == "pipeline":
        pipeline(session, use_case)
        return
    with error_boundary(words, key="explore"):
        _profile(session, use_case, section or SECTIONS[0])


def _profile(session: Session, use_case: UseCase, section: str) -> None:
    words, path = session.words, f"/admin/data/{use_case.name}/profile"
    try:
        with loading_spinner(words, words("explore.loading")):
            found = session.remembered(path, 120, lambda: session.client.get(Service.GATEWAY, path))
    except ResourceNotFoundError:
        empty_state(words("explore.none"), words("explore.none_text"))
        return
    rows = session.formats.number(found["rows"])
    notice("info", words("explore.rows", rows=rows), words("explore.rows_text"))
    if section == "targets":
        _target(session, use_case, found["targets"])
    elif section == "fields":
        show_field(session, use_case, found["fields"])
    elif section == "missing":
        show_missing(session, use_case, found["fields"])
    elif section == "times":
        time_charts(session, found["times"])
    else:
        places_map(session, use_case, found["places"])


def _target(session: Session, use_case: UseCase, targets: Mapping[str, Any]) -> None:
    words, formats = session.words, session.formats
    titles = {target.name: words.of(target.title) for target in use_case.modelling.targets if target.name in targets}
    left, right = st.columns(2)
    name = left.selectbox(
        words("explore.target"), list(titles), format_func=titles.__getitem__,
        key=drafts.kept(f"explore-target-{use_case.name}", titles),
    )  # fmt: skip
    target = targets[name]
    dimensions = [column for column, entries in target["by"].items() if entries]
    if not target["rows"]:
        empty_state(words("explore.too_few"))
        return
    rows = formats.number(target["rows"])
    if target["kind"] == "probability":
        st.write(words("explore.overall_share", share=formats.percent(target["share"], 1), rows=rows))
    elif target["kind"] == "quantity":
        number_summary(session, target, target["unit"])
        histogram(session, target, f"{titles[name]} ({target['unit']})" if target["unit"] else titles[name])
    if not dimensions:
        return
    column = right.selectbox(
        words("explore.by"),
        dimensions,
        format_func=lambda column: group_title(session, use_case, column),
        key=drafts.kept(f"explore-by-{use_case.name}", dimensions),
    )
    labels = target.get("labels", [])
    by_group(session, column, target["by"][column], title=titles[name], labels=labels)


def pipeline(session: Session, use_case: UseCase) -> None:
    """Diagram of the pipeline steps, with data sources at the start and predictions at the end."""
    words = session.words
    st.write(words("explore.pipeline_text"))
    tables = ", ".join(table.name for table in use_case.data.tables)
    targets = ", ".join(words.of(target.title) for target in use_case.modelling.targets)
    boxes = [_box(words("explore.raw_files"), words("explore.leaves_files", tables=tables), "")]
    for step in STEPS:
        leaves = words.known(f"explore.leaves_{step.name}", "").format(targets=targets)
        by = words("explore.done_by", service=words.known(f"data.service_{step.service}", step.service))
        boxes.append(_box(words.of(step.title), leaves, by))
    boxes.append(_box(words("explore.answer"), words("explore.leaves_answer"), ""))
    st.html(f"<ol class='v-steps'>{''.join(boxes)}</ol><p class='v-quiet'>{escape(words('explore.back'))}</p>")


def _box(title: str, leaves: str, by: str) -> str:
    quiet = f"<em>{escape(by)}</em>" if by else ""
    return f"<li class='v-step'><strong>{escape(title)}</strong><span>{escape(leaves)}</span>{quiet}</li>"
