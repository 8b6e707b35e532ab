"""A password or key that was just made: on the page until it is noted, in this page's memory alone."""

from __future__ import annotations

import streamlit as st

from services.dashboard.session import Session
from services.dashboard.states import notice

_SECRET = "vigie_secret"  # noqa: S105 - where it is kept, not what it is


def keep_secret(said: str, text: str | None) -> None:
    """Show ``text`` on the next drawing; nothing where there is none."""
    if text:
        st.session_state[_SECRET] = (said, text)


def show_secret(session: Session) -> None:
    if _SECRET not in st.session_state:
        return
    words = session.words
    said, text = st.session_state[_SECRET]
    with st.container(border=True, key="secret"):
        notice("warn", words("administration.shown_once"), f"{said} {words('administration.shown_once_text')}")
        st.code(text, language=None)
        if st.button(words("administration.noted"), key="secret-noted", type="primary"):
            del st.session_state[_SECRET]
            st.rerun()
