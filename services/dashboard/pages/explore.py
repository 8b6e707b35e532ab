"""The page Explore: the training data of a use case as a picture, and the way from a file to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from services.core.steps import STEPS
from services.core.usecases.contract import UseCase
from services.dashboard.client import NotThereError, Service
from services.dashboard.pages.explore_charts import by_group, group_title, histogram, places, times
from services.dashboard.pages.explore_fields import show_field, show_missing, summary
from services.dashboard.session import Session
from services.dashboard.states import empty, guarded, loading, notice
from services.dashboard.subject import choose_use_case

SECTIONS = ("targets", "fields", "missing", "times", "map", "pipeline")


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_explore"))
    use_case = choose_use_case(session, key="explore")
    if use_case is None:
        empty(words("asking.no_use_case"), words("asking.no_use_case_text"))
        return
    section = st.segmented_control(
        words("explore.section"),
        SECTIONS,
        default=SECTIONS[0],
        format_func=lambda name: words(f"explore.{name}"),
        key="explore-section",
        required=True,
    )
    if section == "pipeline":
        pipeline(session, use_case)
        return
    with guarded(words, key="explore"):
        _picture(session, use_case, section or SECTIONS[0])


def _picture(session: Session, use_case: UseCase, section: str) -> None:
    words, path = session.words, f"/admin/data/{use_case.name}/profile"
    try:
        with loading(words, words("explore.loading")):
            found = session.remembered(path, 120, lambda: session.client.get(Service.GATEWAY, path))
    except NotThereError:
        empty(words("explore.none"), words("explore.none_text"))
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
        times(session, found["times"])
    else:
        places(session, use_case, found["places"])


def _target(session: Session, use_case: UseCase, targets: Mapping[str, Any]) -> None:
    words, formats = session.words, session.formats
    titles = {target.name: words.of(target.title) for target in use_case.targets if target.name in targets}
    left, right = st.columns(2)
    name = left.selectbox(
        words("explore.target"), list(titles), format_func=titles.__getitem__, key=f"explore-target-{use_case.name}"
    )
    target = targets[name]
    dimensions = [column for column, entries in target["by"].items() if entries]
    if not target["rows"]:
        empty(words("explore.too_few"))
        return
    rows = formats.number(target["rows"])
    if target["kind"] == "probability":
        st.write(words("explore.overall_share", share=formats.percent(target["share"], 1), rows=rows))
    elif target["kind"] == "quantity":
        summary(session, target, target["unit"])
        histogram(session, target, f"{titles[name]} ({target['unit']})" if target["unit"] else titles[name])
    if not dimensions:
        return
    column = right.selectbox(
        words("explore.by"),
        dimensions,
        format_func=lambda column: group_title(session, use_case, column),
        key=f"explore-by-{use_case.name}",
    )
    labels = target.get("labels", [])
    by_group(session, column, target["by"][column], title=titles[name], labels=labels)


def pipeline(session: Session, use_case: UseCase) -> None:
    """The one list of steps as boxes in a row, with where the data comes from and where the answers go."""
    words = session.words
    st.write(words("explore.pipeline_text"))
    tables = ", ".join(table.name for table in use_case.tables)
    targets = ", ".join(words.of(target.title) for target in use_case.targets)
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
