"""The page Drift and quality: verdict with reasons, earlier runs as charts and table, and Evidently's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import altair as alt
import streamlit as st
import streamlit.components.v1 as components

from services.core.auth.principal import Role
from services.core.contract.use_case import UseCase
from services.dashboard import drafts
from services.dashboard.api.client import LONG_TIMEOUT, ResourceNotFoundError, Service, ServiceUnavailableError
from services.dashboard.components.data_display import Html, colour_scale, draw_chart, table
from services.dashboard.components.feedback import (
    ConfirmedAction,
    Tone,
    badge,
    confirm_button,
    empty_state,
    error_boundary,
    last_result,
    loading_spinner,
    notice,
)
from services.dashboard.components.frontend import BLUE
from services.dashboard.components.use_cases import choose_use_case, metric_title, target_title
from services.dashboard.pages.quality.sections import show_columns, show_quality, show_quarantines
from services.dashboard.session import Session

RUNS_FETCHED = 60
_VERDICT_TONES: dict[str, Tone] = {"stable": "good", "watch": "warn", "drifted": "bad", "too_few": "info"}


def show_history(session: Session, use_case: UseCase) -> None:
    words = session.words
    with loading_spinner(words):
        answer = session.client.get(Service.GATEWAY, f"/admin/monitoring/{use_case.name}/runs", limit=RUNS_FETCHED)
    runs: list[dict[str, Any]] = answer["runs"] if isinstance(answer, dict) else answer
    if len(runs) < 2:
        empty_state(words("drift.no_history"))
    else:
        _shares(session, runs)
        _errors(session, use_case, runs)
    _table(session, runs)


def _shares(session: Session, runs: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        {"at": run["started_at"], "share": run["drift"]["share"]} for run in runs if run["drift"]["share"] is not None
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(color=BLUE, strokeWidth=3, point={"filled": True, "size": 70, "color": BLUE})
        .encode(
            x=alt.X("at:T", title=None),
            y=alt.Y(
                "share:Q",
                title=session.words("drift.history_share"),
                axis=alt.Axis(format=".0%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
        )
    )
    draw_chart(chart, session.language, height=260)


def _errors(session: Session, use_case: UseCase, runs: Sequence[Mapping[str, Any]]) -> None:
    """Chart each target on a scale of its own: seconds and probabilities cannot share an axis."""
    by_target: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        for entry in run.get("error") or []:
            line = {"at": run["started_at"], "value": entry["value"], "low": entry["low"], "high": entry["high"]}
            line["version"] = session.words("drift.version", number=entry["version"])
            by_target.setdefault((entry["target"], entry["metric"]), []).append(line)
    for (target, metric), rows in by_target.items():
        title = f"{target_title(session, use_case, target)}: {metric_title(session, metric)}"
        versions = list(dict.fromkeys(str(row["version"]) for row in rows))
        colour = alt.Color("version:N", title=session.words("drift.slice_version"), scale=colour_scale(versions[:6]))
        base = alt.Chart(alt.Data(values=rows)).encode(x=alt.X("at:T", title=None), color=colour)
        spans = base.mark_rule(strokeWidth=2).encode(
            y=alt.Y("low:Q", title=metric_title(session, metric), scale=alt.Scale(zero=False)), y2="high:Q"
        )
        dots = base.mark_point(filled=True, size=90, opacity=1).encode(y="value:Q", shape="version:N")
        st.markdown(f"**{title}**")
        draw_chart(spans + dots, session.language, height=260)


def _table(session: Session, runs: Sequence[Mapping[str, Any]]) -> None:
    words, formats = session.words, session.formats
    rows = []
    for run in runs[:20]:
        verdict = run["verdict"]
        word = words.known(f"drift.word_{verdict}", verdict)
        said = "; ".join(words.pair(reason) for reason in run["reasons"][:3])
        share = formats.percent(run["drift"]["share"])
        rows.append(
            [
                formats.moment(run["started_at"]),
                Html(badge(_VERDICT_TONES.get(verdict, "info"), word)),
                share,
                said or "–",
            ]
        )
    names = ("at", "verdict", "share", "reasons")
    table(words("drift.history"), [words(f"drift.{name}") for name in names], rows, numbers=(2,))


HEIGHT = 900


def show_report(session: Session, found: Mapping[str, Any]) -> None:
    """Show Evidently's report on request only: it has several megabytes."""
    words = session.words
    if not found["report"]:
        empty_state(words("drift.no_report"), words("drift.no_report_text"))
        return
    st.caption(words("drift.report_text"))
    shown = f"report-{found['id']}"
    if not st.session_state.get(shown):
        if st.button(words("drift.show_report"), key="report-show", icon=":material/description:"):
            st.session_state[shown] = True
            st.rerun()
        return
    try:
        with loading_spinner(words):
            path = f"/admin/monitoring/runs/{found['id']}/report"
            html = session.client.ask("GET", Service.GATEWAY, path, timeout=LONG_TIMEOUT).text
    except ResourceNotFoundError:
        empty_state(words("drift.no_report"), words("drift.no_report_text"))
        return
    row = st.container(horizontal=True)
    if row.button(words("drift.hide_report"), key="report-hide"):
        del st.session_state[shown]
        st.rerun()
    row.download_button(
        words("drift.save_report"),
        html,
        file_name=f"{found['use_case']}-{found['id']}.html",
        mime="text/html",
        on_click="ignore",
        key="report-save",
    )
    embed(html, words("drift.report_title"))


def embed(html: str, title: str) -> None:
    """Embed HTML in a sandboxed frame: the report contains callers' texts and must not run scripts with the session."""
    frame = (
        f"<iframe title='{escape(title, quote=True)}' sandbox='allow-scripts' srcdoc='{escape(html, quote=True)}' "
        f"style='width:100%;height:{HEIGHT - 20}px;border:0'></iframe>"
    )
    components.html(frame, height=HEIGHT)


SECTIONS = ("quality", "columns", "history", "report")


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_quality"))
    use_case = choose_use_case(session, key="quality")
    if use_case is None:
        empty_state(words("asking.no_use_case"), words("asking.no_use_case_text"))
        return
    last_result()
    path = f"/admin/monitoring/{use_case.name}"
    try:
        with loading_spinner(words, words("drift.loading")):
            found = session.client.get(Service.GATEWAY, path)
    except ResourceNotFoundError:
        empty_state(words("drift.none"), words("drift.none_text"))
        _run_now(session, use_case)
        return
    except ServiceUnavailableError as error:
        if error.service != Service.GATEWAY or "not answer" not in error.reason:
            raise
        # The gateway answers, but the monitoring service behind it does not.
        notice("warn", words("drift.away"), words("drift.away_text"))
        return
    _verdict(session, found)
    _run_now(session, use_case)
    if found.get("holds"):
        with error_boundary(words, key="holds"):
            show_quarantines(session, found["holds"])
    section = st.segmented_control(
        words("drift.section"),
        SECTIONS,
        default=SECTIONS[0],
        format_func=lambda name: words(f"drift.{name}"),
        key=drafts.kept("quality-section"),
        required=True,
    )
    with error_boundary(words, key="quality"):
        if section == "columns":
            show_columns(session, use_case, found["drift"])
        elif section == "history":
            show_history(session, use_case)
        elif section == "report":
            show_report(session, found)
        else:
            show_quality(session, use_case, found)


def _verdict(session: Session, found: Mapping[str, Any]) -> None:
    words, formats, window = session.words, session.formats, found["window"]
    number = found.get("model_version")
    version = words("drift.no_model") if number is None else words("drift.version", number=number)
    said = words(
        "drift.looked",
        at=formats.moment(found["finished_at"] or found["started_at"]),
        calls=formats.number(window["calls"]),
        outcomes=formats.number(window["outcomes"]),
        version=version,
    )
    if window.get("from") and window.get("to"):
        said += " " + words("drift.window", first=formats.moment(window["from"]), last=formats.moment(window["to"]))
    verdict = found["verdict"]
    title = words.known(f"drift.verdict_{verdict}", verdict)
    reasons = [_reason(session, reason) for reason in found["reasons"]]
    notice(_VERDICT_TONES.get(verdict, "info"), title, said, reasons, urgent=False)
    action = found.get("action") or {}
    if action.get("kind", "none") != "none":
        notice("info", words("drift.action"), words.pair(action))


def _reason(session: Session, reason: Mapping[str, Any]) -> str:
    said = session.words.pair(reason)
    if reason.get("since"):
        said += " " + session.words("drift.since", at=session.formats.day(reason["since"]))
    return said


def _run_now(session: Session, use_case: UseCase) -> None:
    if not session.has_role(Role.OPERATOR):
        return
    words = session.words

    def do(_: str, key: str) -> str:
        path = f"/admin/monitoring/{use_case.name}/runs"
        session.client.post(Service.GATEWAY, path, {}, headers={"Idempotency-Key": key})
        return words("drift.running")

    with st.container(horizontal=True):
        confirm_button(
            session,
            ConfirmedAction(
                key=f"monitor-{use_case.name}",
                button=words("drift.run"),
                title=words("drift.run_title", title=words.of(use_case.presentation.title)),
                consequence=words("drift.run_text"),
                do=do,
                tone="info",
                icon=":material/search:",
            ),
        )
        if st.button(words("drift.refresh"), key="quality-refresh", icon=":material/refresh:"):
            st.rerun()
