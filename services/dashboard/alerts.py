"""The banner of open alerts, on top of every page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.dashboard.client import AwayError, NotThereError, Service, SessionOverError, Trouble
from services.dashboard.session import Session
from services.dashboard.states import Tone, notice

_TONES: dict[str, Tone] = {"page": "bad", "ticket": "warn", "info": "info"}
_ORDER = list(_TONES)
_SHOWN = 3


def banner(session: Session) -> None:
    """Nothing where there is nothing to say, or no route that says it; a page never waits or fails for its banner.

    Raises:
        SessionOverError: the sign-in has ended.
    """
    try:
        alerts = session.remembered("alerts", 20, lambda: _open(session))
    except SessionOverError:
        raise
    except AwayError:
        notice("warn", session.words("shell.gateway_away"), session.words("shell.gateway_away_text"))
        return
    except Trouble:
        return
    for alert in alerts[:_SHOWN]:
        words = session.words
        since = session.formats.moment(alert.get("since"), None)
        tone = _TONES.get(alert.get("severity", ""), "info")
        notice(tone, words(f"shell.alert_{tone}") + ": " + words.pair(alert["summary"]), words("shell.since", at=since))
    if len(alerts) > _SHOWN:
        st.caption(session.words("shell.more_alerts", count=len(alerts) - _SHOWN))


def open_alerts(session: Session) -> list[dict[str, Any]]:
    """The open alerts, the gravest first; none where nobody says."""
    try:
        return session.remembered("alerts", 20, lambda: _open(session))
    except SessionOverError:
        raise
    except Trouble:
        return []


def _open(session: Session) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = session.client.get(Service.GATEWAY, "/admin/alerts")["alerts"]
    except NotThereError:  # a platform without monitoring
        return []
    return sorted(found, key=lambda alert: _ORDER.index(alert["severity"]) if alert["severity"] in _ORDER else 9)
