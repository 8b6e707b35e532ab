"""The page Drift and quality: the verdict first, then why, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.access.roles import Role
from services.core.usecases.contract import UseCase
from services.dashboard.client import AwayError, NotThereError, Service
from services.dashboard.confirm import Action, offer, told
from services.dashboard.pages.quality_history import show_history
from services.dashboard.pages.quality_report import show_report
from services.dashboard.pages.quality_sections import show_columns, show_holds, show_quality
from services.dashboard.session import Session
from services.dashboard.states import Tone, empty, guarded, loading, notice
from services.dashboard.subject import choose_use_case

TONES: dict[str, Tone] = {"stable": "good", "watch": "warn", "drifted": "bad", "too_few": "info"}
SECTIONS = ("quality", "columns", "history", "report")


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_quality"))
    use_case = choose_use_case(session, key="quality")
    if use_case is None:
        empty(words("asking.no_use_case"), words("asking.no_use_case_text"))
        return
    told()
    path = f"/admin/monitoring/{use_case.name}"
    try:
        with loading(words, words("drift.loading")):
            found = session.client.get(Service.GATEWAY, path)
    except NotThereError:
        empty(words("drift.none"), words("drift.none_text"))
        _run_now(session, use_case)
        return
    except AwayError as error:
        if error.service != Service.GATEWAY or "not answer" not in error.reason:
            raise
        # The gateway answers; what stands behind it does not.
        notice("warn", words("drift.away"), words("drift.away_text"))
        return
    _verdict(session, found)
    _run_now(session, use_case)
    if found.get("holds"):
        with guarded(words, key="holds"):
            show_holds(session, found["holds"])
    section = st.segmented_control(
        words("drift.section"),
        SECTIONS,
        default=SECTIONS[0],
        format_func=lambda name: words(f"drift.{name}"),
        key="quality-section",
        required=True,
    )
    with guarded(words, key="quality"):
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
    notice(TONES.get(verdict, "info"), title, said, reasons, urgent=False)
    action = found.get("action") or {}
    if action.get("kind", "none") != "none":
        notice("info", words("drift.action"), words.pair(action))


def _reason(session: Session, reason: Mapping[str, Any]) -> str:
    said = session.words.pair(dict(reason))
    if reason.get("since"):
        said += " " + session.words("drift.since", at=session.formats.day(reason["since"]))
    return said


def _run_now(session: Session, use_case: UseCase) -> None:
    if not session.may(Role.OPERATOR):
        return
    words = session.words

    def do(_: str, key: str) -> str:
        path = f"/admin/monitoring/{use_case.name}/runs"
        session.client.post(Service.GATEWAY, path, {}, headers={"Idempotency-Key": key})
        return words("drift.running")

    with st.container(horizontal=True):
        offer(
            session,
            Action(
                key=f"monitor-{use_case.name}",
                button=words("drift.run"),
                title=words("drift.run_title", title=words.of(use_case.title)),
                consequence=words("drift.run_text"),
                do=do,
                tone="info",
                icon=":material/search:",
            ),
        )
        if st.button(words("drift.refresh"), key="quality-refresh", icon=":material/refresh:"):
            st.rerun()
