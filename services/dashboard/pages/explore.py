"""The page Explore."""

from __future__ import annotations

import streamlit as st

from services.dashboard.session import Session
from services.dashboard.states import empty


def render(session: Session) -> None:
    st.title(session.words("shell.page_explore"))
    empty(session.words("shell.in_preparation"))
