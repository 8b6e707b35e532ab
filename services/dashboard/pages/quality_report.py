"""Evidently's report of a result, inside the page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st
import streamlit.components.v1 as components

from services.dashboard.client import LONG_SECONDS, NotThereError, Service
from services.dashboard.session import Session
from services.dashboard.states import empty, loading

HEIGHT = 900


def show_report(session: Session, found: Mapping[str, Any]) -> None:
    """It is megabytes large, so it comes when it is asked for."""
    words = session.words
    if not found["report"]:
        empty(words("drift.no_report"), words("drift.no_report_text"))
        return
    st.caption(words("drift.report_text"))
    shown = f"report-{found['id']}"
    if not st.session_state.get(shown):
        if st.button(words("drift.show_report"), key="report-show", icon=":material/description:"):
            st.session_state[shown] = True
            st.rerun()
        return
    try:
        with loading(words):
            path = f"/admin/monitoring/runs/{found['id']}/report"
            html = session.client.ask("GET", Service.GATEWAY, path, timeout=LONG_SECONDS).text
    except NotThereError:
        empty(words("drift.no_report"), words("drift.no_report_text"))
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
    """In a frame of no origin: what callers wrote stands in the report, and nothing in it may act for who reads it."""
    frame = (
        f"<iframe title='{escape(title, quote=True)}' sandbox='allow-scripts' srcdoc='{escape(html, quote=True)}' "
        f"style='width:100%;height:{HEIGHT - 20}px;border:0'></iframe>"
    )
    components.html(frame, height=HEIGHT)
