"""The page Administration: users, centres, API keys, the audit log, how long things are kept."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from services.dashboard.confirm import told
from services.dashboard.pages.administration_audit import show_audit
from services.dashboard.pages.administration_keys import show_keys
from services.dashboard.pages.administration_places import show_centres, show_retention
from services.dashboard.pages.administration_secret import show_secret
from services.dashboard.pages.administration_users import show_users
from services.dashboard.session import Session
from services.dashboard.states import guarded

SECTIONS: dict[str, Callable[[Session], None]] = {
    "users": show_users,
    "centres": show_centres,
    "keys": show_keys,
    "audit": show_audit,
    "retention": show_retention,
}


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_administration"))
    told()
    show_secret(session)
    section = st.segmented_control(
        words("administration.section"),
        list(SECTIONS),
        default="users",
        format_func=lambda name: words(f"administration.{name}"),
        key="administration-section",
        required=True,
    )
    with guarded(words, key="administration"):
        SECTIONS[section or "users"](session)
