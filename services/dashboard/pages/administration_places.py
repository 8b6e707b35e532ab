"""Centres, and how long things are kept."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.core.usecases import registry
from services.dashboard.client import RefusedError, Service
from services.dashboard.confirm import tell
from services.dashboard.session import Session
from services.dashboard.states import loading, trouble
from services.dashboard.tables import table


def centres_of(session: Session) -> list[dict[str, Any]]:
    path = "/admin/centres"
    found: list[dict[str, Any]] = session.remembered(path, 30, lambda: session.client.get(Service.GATEWAY, path))
    return found


def show_centres(session: Session) -> None:
    words = session.words
    rows = [[line["name"], line["title"], session.formats.day(line["created"])] for line in centres_of(session)]
    names = ("name", "title", "created")
    table(words("administration.centres"), [words(f"administration.{name}") for name in names], rows)
    if session.user.centres is not None:
        st.caption(words("administration.for_all_centres"))
        return
    with st.form("add-centre", clear_on_submit=False):
        st.markdown(f"**{words('administration.add_centre')}**")
        name = st.text_input(
            words("administration.centre_name"), help=words("administration.centre_name_help"), max_chars=63
        )
        title = st.text_input(words("administration.title"), max_chars=200)
        if not st.form_submit_button(words("administration.add"), type="primary"):
            return
    try:
        session.client.post(Service.GATEWAY, "/admin/centres", {"name": name.strip(), "title": title.strip()})
    except RefusedError as error:
        trouble(words, error, key="add-centre")
        return
    session.forget("/admin/centres")
    tell(words("administration.centre_added", name=name.strip()))
    st.rerun()


def show_retention(session: Session) -> None:
    words, formats = session.words, session.formats
    with loading(words):
        found = session.client.get(Service.GATEWAY, "/admin/retention")
    rows = []
    for name, days in found["days"].items():
        title = words.of(registry.get(name).title) if name in registry.names() else name
        kept = words("administration.days_n", days=formats.number(days)) if days else words("administration.for_ever")
        how = "pseudonyms" if name in found["pseudonymised"] else "as_said"
        rows.append([title, kept, words(f"administration.{how}")])
    names = ("use_case", "days", "places")
    table(words("administration.retention"), [words(f"administration.{name}") for name in names], rows)
    if found["jobs_days"] is not None:
        st.write(words("administration.jobs_days", days=formats.number(found["jobs_days"])))
    st.caption(words("administration.retention_text"))
