"""The page Portal: how every part of the platform is at this moment, the way to its page, and the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

import streamlit as st

from services.core.access.roles import Role
from services.dashboard.client import Service
from services.dashboard.confirm import told
from services.dashboard.pages.portal_simulator import show_simulator
from services.dashboard.session import Session
from services.dashboard.states import Tone, guarded, notice, tag

EVERY_SECONDS = 15
TONES: dict[str, Tone] = {"up": "good", "degraded": "warn", "down": "bad", "absent": "info"}


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_portal"))
    told()
    st.fragment(_parts, run_every=EVERY_SECONDS)(session)
    if session.may(Role.OPERATOR):
        st.subheader(words("portal.simulator"))
        with guarded(words, key="simulator"):
            show_simulator(session)


def _parts(session: Session) -> None:
    words = session.words
    with guarded(words, key="parts"):
        parts: list[dict[str, Any]] = session.client.get(Service.GATEWAY, "/admin/platform")["parts"]
        unwell = [
            _title(session, part).split(":")[0].strip() for part in parts if part["state"] in {"down", "degraded"}
        ]
        if unwell:
            notice("warn", words("portal.not_well", parts=", ".join(unwell)), words("portal.calls_first"))
        else:
            notice("good", words("portal.all_well"))
        for heading, chosen in (
            ("portal.pages", [part for part in parts if part["address"]]),
            ("portal.services", [part for part in parts if not part["address"]]),
        ):
            if chosen:
                st.subheader(words(heading))
                st.html(f"<div class='v-row'>{''.join(_card(session, part) for part in chosen)}</div>")
        at = session.formats.clock(datetime.now(UTC))
        st.caption(words("portal.looked", at=at, seconds=EVERY_SECONDS))


def _card(session: Session, part: Mapping[str, Any]) -> str:
    words, state = session.words, part["state"]
    said = []
    if part["milliseconds"] is not None:
        said.append(words("portal.in_ms", ms=session.formats.number(part["milliseconds"])))
    if part["reason"]:
        said.append(words.known(f"portal.reason_{state}", "{reason}").format(reason=part["reason"]))
    link = ""
    if part["address"]:
        name = words.known(f"portal.part_{part['name']}_page", part["name"].capitalize())
        address = escape(part["address"], quote=True)
        said_link = escape(words("portal.open", name=name))
        link = f"<p><a href='{address}' target='_blank' rel='noopener'>{said_link}</a></p>"
    return (
        f"<section class='v-card'><h3>{escape(_title(session, part))}</h3>"
        f"{tag(TONES[state], words(f'portal.state_{state}'))} <span class='v-quiet'>{escape(', '.join(said))}</span>"
        f"{link}</section>"
    )


def _title(session: Session, part: Mapping[str, Any]) -> str:
    return session.words.known(f"portal.part_{part['name']}", part["name"])
