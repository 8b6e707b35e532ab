"""One version: gate decision, metrics, plots, model card and comparison with another version. Each section fetches
only its own data.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from services.core.contract.use_case import UseCase
from services.core.model_registry.version import Tag
from services.dashboard import drafts
from services.dashboard.api.client import ResourceNotFoundError, Service
from services.dashboard.components.data_display import table
from services.dashboard.components.feedback import Tone, empty_state, error_boundary, loading_spinner, notice
from services.dashboard.components.use_cases import metric_title, metric_value, target_title
from services.dashboard.pages.models.diff import show_diff
from services.dashboard.session import Session

SECTIONS = ("decision", "metrics", "plots", "card", "changes")
SIGNIFICANCE = 0.05
"""Family-wise significance level of the gate's checks."""
TONES: dict[str, Tone] = {"passed": "good", "refused": "bad", "unchanged": "info"}


def show_version(session: Session, use_case: UseCase, number: int, others: Sequence[int], *, against: int) -> None:
    """Show a version. ``others``: versions to compare with; ``against`` is the default."""
    words = session.words
    section = st.segmented_control(
        words("models.section"),
        SECTIONS,
        default=SECTIONS[0],
        format_func=lambda name: words(f"models.{name}"),
        key=drafts.kept("models-section"),
        required=True,
    )
    with error_boundary(words, key="version"):
        if section == "card":
            _card(session, use_case, number)
            return
        with loading_spinner(words):
            found = version_details(session, use_case, number)
        if section == "decision":
            _decision(session, use_case, found)
        elif section == "metrics":
            _metrics(session, use_case, found)
        elif section == "plots":
            _plots(session, use_case, number, found["plots"])
        else:
            _changes(session, use_case, found, others, against)


def version_details(session: Session, use_case: UseCase, number: int) -> dict[str, Any]:
    path = f"/admin/models/{use_case.name}/versions/{number}"
    found: dict[str, Any] = session.remembered(path, 60, lambda: session.client.get(Service.GATEWAY, path))
    return found


# --- the gate ---------------------------------------------------------------------------------------


def _decision(session: Session, use_case: UseCase, found: Mapping[str, Any]) -> None:
    words, gate, tags = session.words, found["gate"], found["version"]["tags"]
    outcome = (gate or {}).get("outcome") or tags.get(Tag.GATE) or "none"
    points = []
    if gate and gate.get("deciding"):
        points = _deciding_lines(session, use_case, gate)
    notice(TONES.get(outcome, "info"), words.known(f"models.decided_{outcome}", outcome), "", points, urgent=False)
    checks = (gate or {}).get("checks") or []
    if checks:
        st.subheader(words("models.guards"))
        columns = ("guard", "metric", "old", "new", "allowed", "outcome")
        heads = [words(f"models.{name}") for name in columns]
        worse = [check for check in checks if _check_result(check, len(checks)) == "exceeded"]
        if worse:
            rows = [_check_row(session, use_case, check, len(checks)) for check in worse]
            table(words("models.guards"), heads, rows, numbers=(2, 3, 4))
        else:
            st.write(words("models.all_kept"))
        with st.expander(words("models.every_check", count=len(checks))):
            rows = [_check_row(session, use_case, check, len(checks)) for check in checks]
            table(words("models.every_check", count=len(checks)), heads, rows, numbers=(2, 3, 4))
    if gate and gate.get("latency_ms"):
        latency = session.formats.quantity(gate["latency_ms"], "ms", 2)
        size = session.formats.bytes(gate["bundle_mb"] * 1e6)
        st.caption(words("models.weight", latency=latency, size=size))
    reasons = (gate or {}).get("reasons") or ([tags[Tag.GATE_REASONS]] if tags.get(Tag.GATE_REASONS) else [])
    if reasons:
        with st.expander(words("models.own_words")):
            for reason in reasons:
                st.text(reason)


def _deciding_lines(session: Session, use_case: UseCase, gate: Mapping[str, Any]) -> list[str]:
    words, check = session.words, gate["deciding"]
    measured, target, metric = check["measured"], check["name"], check["metric"]

    def said(value: float | None) -> str:
        return metric_value(session, use_case, target, metric, value)

    other = words("models.the_baseline")
    if gate.get("champion") is not None:
        other = words("models.the_version", number=gate["champion"])
    title = f"{target_title(session, use_case, target)}, {metric_title(session, metric)}"
    lines = [
        words(
            "models.decided_on",
            what=title,
            new=said(measured["new"]),
            old=said(measured["old"]),
            other=other,
            rows=session.formats.number(check["rows"]),
        )
    ]
    if measured["gain"] is not None and measured["bound"] is not None:
        key = "models.gained" if measured["gain"] > 0 else "models.lost"
        lines.append(words(key, gain=said(abs(measured["gain"])), bound=said(measured["bound"])))
    return lines


def _check_result(check: Mapping[str, Any], checks: int) -> str:
    """Whether the loss exceeds the limit, and whether it is significant."""
    measured, limit = check["measured"], check["limit"]
    if measured["gain"] is None or limit is None or measured["gain"] >= -limit:
        return "kept"
    by_chance = measured.get("worse_by_chance")
    return "by_chance" if by_chance is not None and by_chance > SIGNIFICANCE / checks else "exceeded"


def _check_row(session: Session, use_case: UseCase, check: Mapping[str, Any], checks: int) -> list[str]:
    name, metric, measured = check["name"], check["metric"], check["measured"]
    target, _, group = name.partition(", ")
    title = target_title(session, use_case, target) + (f", {_group(session, use_case, group)}" if group else "")

    def said(value: float | None) -> str:
        return metric_value(session, use_case, target, metric, value)

    verdict = session.words(f"models.{_check_result(check, checks)}")
    limit = said(check["limit"])
    return [title, metric_title(session, metric), said(measured["old"]), said(measured["new"]), limit, verdict]


def _group(session: Session, use_case: UseCase, group: str) -> str:
    """A group's name as in the gate's report (``area north``), with the column's title."""
    column, _, word = group.partition(" ")
    title = next((session.words.of(item.title) for item in use_case.modelling.subgroups if item.column == column), None)
    return group if title is None else f"{title}: {word}"


# --- metrics ----------------------------------------------------------------------------------------


def _metrics(session: Session, use_case: UseCase, found: Mapping[str, Any]) -> None:
    words = session.words
    if not found["metrics"]:
        empty_state(words("models.no_metrics"))
        return
    rows = [
        [
            target_title(session, use_case, target),
            metric_title(session, metric),
            metric_value(session, use_case, target, metric, value),
            metric_value(session, use_case, target, metric, found["baseline"].get(target, {}).get(metric)),
        ]
        for target, values in found["metrics"].items()
        for metric, value in values.items()
    ]
    columns = ("target", "metric", "model", "baseline")
    table(words("models.metrics"), [words(f"models.{name}") for name in columns], rows, numbers=(2, 3))
    if found["rows"]:
        st.caption(words("models.on_rows", rows=session.formats.number(found["rows"])))
    if found["omitted"]:
        st.caption(words("models.omitted", what="; ".join(found["omitted"])))
    _groups(session, use_case, found["subgroups"])


def _groups(session: Session, use_case: UseCase, subgroups: Mapping[str, Any]) -> None:
    """Primary metric of each target in each group of one column."""
    words = session.words
    titles = {item.column: words.of(item.title) for item in use_case.modelling.subgroups if subgroups.get(item.column)}
    if not titles:
        return
    st.subheader(words("models.groups"))
    column = st.selectbox(
        words("models.groups_by"), list(titles), format_func=titles.__getitem__,
        key=drafts.kept("models-groups", titles),
    )  # fmt: skip
    heads = [words("models.group"), words("models.rows")]
    heads += [f"{words.of(t.title)}, {metric_title(session, t.metric)}" for t in use_case.modelling.targets]
    rows = []
    for group, values in subgroups[column].items():
        counts = [values[t.name].get("rows", 0) for t in use_case.modelling.targets if t.name in values]
        line = [group, session.formats.number(max(counts, default=0))]
        for target in use_case.modelling.targets:
            value = values.get(target.name, {}).get(target.metric)
            line.append(metric_value(session, use_case, target.name, target.metric, value))
        rows.append(line)
    table(titles[column], heads, rows, numbers=range(1, len(heads)))


# --- plots, card, changes ---------------------------------------------------------------------------


def _plots(session: Session, use_case: UseCase, number: int, names: Sequence[str]) -> None:
    words = session.words
    if not names:
        empty_state(words("models.no_plots"))
        return
    if session.language != "en":
        st.caption(words("models.plots_english"))
    for name in sorted(names, key=lambda item: item == "importance.png"):
        target, _, kind = name.removesuffix(".png").partition("-")
        title = words.known(f"models.plot_{kind or target}", kind or target)
        if kind:
            title = f"{target_title(session, use_case, target)}: {title}"
        path = f"/admin/models/{use_case.name}/versions/{number}/plots/{name}"
        with error_boundary(words, key=f"plot-{name}"), loading_spinner(words):
            data = base64.b64encode(_picture(session, path)).decode("ascii")
            st.html(
                f"<figure class='v-card'><figcaption><strong>{escape(title)}</strong></figcaption>"
                f"<div class='v-table-frame' tabindex='0' role='region' aria-label='{escape(title, quote=True)}'>"
                f"<img src='data:image/png;base64,{data}' alt='{escape(title, quote=True)}' class='v-plot'>"
                "</div></figure>"
            )


def _picture(session: Session, path: str) -> bytes:
    found: bytes = session.remembered(path, 600, lambda: session.client.ask("GET", Service.GATEWAY, path).content)
    return found


def _card(session: Session, use_case: UseCase, number: int) -> None:
    words, path = session.words, f"/admin/models/{use_case.name}/versions/{number}/card"
    try:
        with loading_spinner(words):
            text: str = session.remembered(path, 600, lambda: session.client.ask("GET", Service.GATEWAY, path).text)
    except ResourceNotFoundError:
        empty_state(words("models.no_card"))
        return
    if session.language != "en":
        st.caption(words("models.card_english"))
    with st.container(border=True):
        # The page has the first-level heading; the card's headings start two levels below.
        lines = [f"##{line}" if line.startswith("#") else line for line in text.splitlines()]
        st.markdown("\n".join(lines))


def _changes(
    session: Session, use_case: UseCase, found: Mapping[str, Any], others: Sequence[int], against: int
) -> None:
    words = session.words
    if not others:
        empty_state(words("models.alone"))
        return
    other = st.selectbox(
        words("models.compare_with"),
        others,
        index=others.index(against) if against in others else 0,
        format_func=lambda number: words("models.version_n", number=number),
        key=drafts.kept(f"models-against-{found['version']['number']}", others),
    )
    with loading_spinner(words):
        old = version_details(session, use_case, other)
    show_diff(session, use_case, old, found)
