"""Evidence for the verdict: live metrics with intervals, drift of each column, and quarantined outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from services.core.auth.principal import Role
from services.core.contract.use_case import UseCase
from services.dashboard import drafts
from services.dashboard.api.client import Service
from services.dashboard.components.data_display import Html, table
from services.dashboard.components.feedback import ConfirmedAction, badge, confirm_button, empty_state, notice
from services.dashboard.components.use_cases import metric_title, metric_value, target_title, title_of
from services.dashboard.session import Session

GROUPINGS = ("centre", "area", "hour")
_PREDICTION = "prediction."


def show_quality(session: Session, use_case: UseCase, found: Mapping[str, Any]) -> None:
    words, entries = session.words, found["quality"]
    if not entries:
        empty_state(words("drift.no_quality"))
    else:
        cuts = ["all", *(cut for cut in GROUPINGS if any(cut in entry for entry in entries))]
        cut = st.segmented_control(
            words("drift.slice"),
            cuts,
            default="all",
            format_func=lambda name: words(f"drift.slice_{name}"),
            key=drafts.kept("quality-cut", cuts),
            required=True,
        )
        _quality_table(session, use_case, _grouped_by(entries, cut or "all"), cut or "all")
    _estimates(session, use_case, (found.get("estimate") or {}).get("targets") or [])
    _shadow_comparison(session, use_case, found.get("shadow") or {})


def _grouped_by(entries: Sequence[Mapping[str, Any]], cut: str) -> list[Mapping[str, Any]]:
    """Entries of one grouping; those that exceed the limit first."""
    chosen = [entry for entry in entries if (not set(GROUPINGS) & set(entry) if cut == "all" else cut in entry)]
    return sorted(chosen, key=lambda entry: not entry.get("breached"))


def _quality_table(session: Session, use_case: UseCase, entries: Sequence[Mapping[str, Any]], cut: str) -> None:
    words, formats = session.words, session.formats
    names = ["target", "metric", "slice_version", "now", "interval", "reference", "calls", "judged"]
    if cut != "all":
        names.insert(2, f"slice_{cut}")
    rows = []
    for entry in entries:
        target, metric = entry["target"], entry["metric"]

        def said(value: float | None, target: str = target, metric: str = metric) -> str:
            return metric_value(session, use_case, target, metric, value)

        judged = "–"
        if entry.get("breached") is not None:
            bad = bool(entry["breached"])
            judged = Html(badge("bad" if bad else "good", words("drift.breached" if bad else "drift.within")))
        line = [
            target_title(session, use_case, target),
            metric_title(session, metric),
            str(entry.get("version", "–")),
            said(entry["value"]),
            f"{said(entry.get('low'))} – {said(entry.get('high'))}",
            said(entry.get("reference")),
            formats.number(entry["count"]),
            judged,
        ]
        if cut != "all":
            line.insert(2, f"{entry[cut]} h" if cut == "hour" else str(entry[cut]))
        rows.append(line)
    last = len(names) - 1
    table(words("drift.quality"), [words(f"drift.{name}") for name in names], rows, numbers=range(last - 4, last))


def _estimates(session: Session, use_case: UseCase, targets: Sequence[Mapping[str, Any]]) -> None:
    words, formats = session.words, session.formats
    known = [entry for entry in targets if entry.get("value") is not None]
    if not known:
        return
    st.subheader(words("drift.estimate"))
    for entry in known:
        target, metric = entry["target"], entry["metric"]
        said = words(
            "drift.estimate_text",
            target=target_title(session, use_case, target),
            metric=metric_title(session, metric),
            value=metric_value(session, use_case, target, metric, entry["value"]),
            count=formats.number(entry["count"]),
        )
        if checked := entry.get("checked"):
            said += " " + words(
                "drift.estimate_checked",
                count=formats.number(checked["count"]),
                estimate=metric_value(session, use_case, target, metric, checked["estimate"]),
                truth=metric_value(session, use_case, target, metric, checked["truth"]),
            )
        st.write(said)


def _shadow_comparison(session: Session, use_case: UseCase, shadow: Mapping[str, Any]) -> None:
    duels = [entry for entry in shadow.get("targets") or [] if entry.get("new") is not None]
    if not duels:
        return
    words = session.words
    st.subheader(words("drift.shadow"))
    for entry in duels:
        target, metric = entry["target"], entry["metric"]
        st.write(
            words(
                "drift.shadow_line",
                target=target_title(session, use_case, target),
                metric=metric_title(session, metric),
                new=metric_value(session, use_case, target, metric, entry["new"]),
                old=metric_value(session, use_case, target, metric, entry["old"]),
                count=session.formats.number(entry["count"]),
            )
        )


# --- columns ----------------------------------------------------------------------------------------


def show_columns(session: Session, use_case: UseCase, drift: Mapping[str, Any]) -> None:
    words, formats = session.words, session.formats
    if not drift["columns"]:
        empty_state(words("drift.no_columns"))
        return
    if drift["share"] is not None:
        st.write(words("drift.share_text", share=formats.percent(drift["share"])))
    rows = []
    for column in sorted(drift["columns"], key=lambda item: (not item["drifted"], -(item["value"] or 0))):
        judged = badge("warn", words("drift.drifted")) if column["drifted"] else badge("good", words("drift.steady"))
        missing = [formats.percent(column.get(name), 1) for name in ("missing_reference", "missing_current")]
        rows.append(
            [
                column_title(session, use_case, column["name"]),
                words.known(f"drift.measure_{column['measure']}", str(column["measure"])),
                formats.number(column["value"], 3),
                formats.number(column["threshold"], 3),
                " → ".join(missing),
                Html(judged),
            ]
        )
    names = ("column", "measure", "value", "threshold", "missing", "judged")
    table(words("drift.columns"), [words(f"drift.{name}") for name in names], rows, numbers=(2, 3, 4))


def column_title(session: Session, use_case: UseCase, name: str) -> str:
    """Title of a request field, an answer or a drift column."""
    if name in use_case.serving.request.model_fields:
        return title_of(use_case, name, session.words)
    watched = use_case.serving.drift_features
    if name in watched:
        return session.words.of(watched[name])
    target = name.removeprefix(_PREDICTION)
    title = target_title(session, use_case, target)
    return session.words("drift.kind_prediction", title=title) if title != target else name


# --- held outcomes ----------------------------------------------------------------------------------


def show_quarantines(session: Session, holds: Sequence[Mapping[str, Any]]) -> None:
    words, formats = session.words, session.formats
    said = []
    for hold in holds:
        line = words(
            "drift.hold_line",
            centre=hold["centre"] or words("terms.all_centres"),
            since=formats.moment(hold["since"]),
            reason=words.pair(hold),
        )
        if hold.get("lifted_at"):
            lifted = words("drift.lifted", by=hold["lifted_by"], at=formats.moment(hold["lifted_at"]))
            line += f" ({lifted})"
        said.append(line)
    notice("warn", words("drift.holds"), words("drift.hold_text"), said)
    if not session.has_role(Role.OPERATOR):
        return
    for hold in holds:
        if not hold.get("lifted_at"):
            _release_button(session, hold)


def _release_button(session: Session, hold: Mapping[str, Any]) -> None:
    words = session.words

    def do(_: str, __: str) -> str:
        session.client.post(Service.GATEWAY, f"/admin/monitoring/holds/{hold['id']}/lift")
        return words("drift.believed")

    confirm_button(
        session,
        ConfirmedAction(
            key=f"lift-{hold['id']}",
            button=f"{words('drift.lift')} ({hold['centre']})",
            title=words("drift.lift_title"),
            consequence=words("drift.lift_text"),
            do=do,
        ),
    )
