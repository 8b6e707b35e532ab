"""Feedback to the person at the page: notices, errors, empty states, open alerts, confirmation of actions with their
result, and secrets that are shown once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import streamlit as st
import structlog

from services.core.messages import Translator
from services.dashboard.api.client import (
    ApiError,
    PermissionDeniedError,
    RequestRejectedError,
    ResourceNotFoundError,
    Service,
    ServiceUnavailableError,
    SessionExpiredError,
)
from services.dashboard.session import Session

log = structlog.get_logger(__name__)
Tone = Literal["good", "info", "warn", "bad", "exercise"]


def notice(tone: Tone, title: str, text: str = "", points: list[str] | None = None, *, urgent: bool = True) -> None:
    """A box that says something: never by its colour alone. What is bad interrupts who has the page read aloud, unless
    it is no trouble but what the page is there to tell (not ``urgent``)."""
    items = "".join(f"<li>{escape(point)}</li>" for point in points or [])
    role = "alert" if tone == "bad" and urgent else "status"
    st.html(
        f"<div class='v-notice {tone}' role='{role}'><strong>{escape(title)}</strong>{escape(text)}"
        + (f"<ul>{items}</ul>" if items else "")
        + "</div>"
    )


def badge(tone: Tone, word: str, *, large: bool = False) -> str:
    """HTML of a word on its colour."""
    return f"<span class='v-tag {tone}{' large' if large else ''}'>{escape(word)}</span>"


def empty_state(title: str, text: str = "") -> None:
    """Nothing there yet, and how there will be."""
    st.html(f"<div class='v-empty' role='status'><strong>{escape(title)}</strong>{escape(text)}</div>")


@contextmanager
def loading_spinner(words: Translator, text: str | None = None) -> Iterator[None]:
    """While something is fetched that takes longer than a moment."""
    with st.spinner(text or words("shell.loading")):
        yield


def show_error(words: Translator, error: ApiError, *, key: str = "page") -> None:
    """What went wrong, and a button to try again or sign in."""
    if isinstance(error, SessionExpiredError):
        notice("warn", words("shell.session_over"), words("shell.session_over_text"))
        if st.button(words("shell.sign_in_again"), key=f"again-{key}", type="primary"):
            # Only here, because the session's module draws nothing and knows no states.
            from services.dashboard.session import forget_sign_in  # noqa: PLC0415

            forget_sign_in()
            st.rerun()
        return
    if isinstance(error, ServiceUnavailableError):
        service = words.known(f"shell.service_{error.service}", error.service)
        if " " in error.reason:  # it answered, with a sentence about what stands behind it
            notice("bad", words("asking.behind"), words("shell.away_text"), [error.reason])
        else:
            notice("bad", words("shell.away", service=service), words("shell.away_text"))
    elif isinstance(error, PermissionDeniedError):
        notice("warn", words("shell.forbidden"), words("shell.forbidden_text"))
        return
    elif isinstance(error, ResourceNotFoundError):
        notice("warn", words("shell.not_there"), words("shell.not_there_text"))
    elif isinstance(error, RequestRejectedError):
        reasons = [fault.get("reason", "") for fault in error.faults]
        notice("bad", words("shell.refused"), "", [reason for reason in reasons if reason])
    else:
        notice("bad", words("shell.failed"), words("shell.failed_text"))
    if st.button(words("shell.try_again"), key=f"again-{key}"):
        st.rerun()


@contextmanager
def error_boundary(words: Translator, *, key: str = "page") -> Iterator[None]:
    """A part of a page that may not get what it needs: then it says so, and the rest of the page goes on."""
    try:
        yield
    except ApiError as error:
        log.info("a page's part has trouble", part=key, error=type(error).__name__)
        show_error(words, error, key=key)


_SEVERITY_TONES: dict[str, Tone] = {"page": "bad", "ticket": "warn", "info": "info"}
_SEVERITIES = list(_SEVERITY_TONES)
_SHOWN_ALERTS = 3


def alert_banner(session: Session) -> None:
    """Nothing where there is nothing to say, or no route that says it; a page never waits or fails for its banner.

    Raises:
        SessionOverError: the sign-in has ended.
    """
    try:
        alerts = session.remembered("alerts", 20, lambda: _fetch_open_alerts(session))
    except SessionExpiredError:
        raise
    except ServiceUnavailableError:
        notice("warn", session.words("shell.gateway_away"), session.words("shell.gateway_away_text"))
        return
    except ApiError:
        return
    for alert in alerts[:_SHOWN_ALERTS]:
        words = session.words
        since = session.formats.moment(alert.get("since"), None)
        tone = _SEVERITY_TONES.get(alert.get("severity", ""), "info")
        notice(tone, words(f"shell.alert_{tone}") + ": " + words.pair(alert["summary"]), words("shell.since", at=since))
    if len(alerts) > _SHOWN_ALERTS:
        st.caption(session.words("shell.more_alerts", count=len(alerts) - _SHOWN_ALERTS))


def open_alerts(session: Session) -> list[dict[str, Any]]:
    """The open alerts, the gravest first; none where nobody says."""
    try:
        return session.remembered("alerts", 20, lambda: _fetch_open_alerts(session))
    except SessionExpiredError:
        raise
    except ApiError:
        return []


def _fetch_open_alerts(session: Session) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = session.client.get(Service.GATEWAY, "/admin/alerts")["alerts"]
    except ResourceNotFoundError:  # a platform without monitoring
        return []
    return sorted(
        found, key=lambda alert: _SEVERITIES.index(alert["severity"]) if alert["severity"] in _SEVERITIES else 9
    )


_LAST_RESULT = "vigie_told"


@dataclass(frozen=True, slots=True)
class ConfirmedAction:
    """``do`` gets the reason that was given (empty without ``reason``) and a key by which a repeated request acts once;
    it returns a sentence that says what came of it."""

    key: str
    button: str
    title: str
    consequence: str
    do: Callable[[str, str], str]
    points: Sequence[str] = ()
    reason: str = ""
    """Label of the field for a reason; without one nobody is asked for it."""
    least: int = 0
    """Characters that the reason needs."""
    tone: Tone = "warn"
    primary: bool = False
    icon: str | None = None


def confirm_button(session: Session, action: ConfirmedAction) -> None:
    """A button; pressed, the question with the consequence takes its place until it is answered."""
    asked, words = f"asked-{action.key}", session.words
    if not st.session_state.get(asked):
        kind: Literal["primary", "secondary"] = "primary" if action.primary else "secondary"
        if st.button(action.button, key=f"offer-{action.key}", type=kind, icon=action.icon):
            st.session_state[asked] = uuid.uuid4().hex
            st.rerun()
        return
    with st.container(border=True, key=f"question-{action.key}"):
        notice(action.tone, action.title, action.consequence, list(action.points))
        given = ""
        if action.reason:
            given = st.text_input(action.reason, key=f"reason-{action.key}", max_chars=500).strip()
        row = st.container(horizontal=True)
        if row.button(words("asking.yes", action=action.button), key=f"yes-{action.key}", type="primary"):
            if len(given) < action.least:
                notice("warn", words("asking.reason_needed"))
            else:
                _execute(session, action, given)
        if row.button(words("asking.cancel"), key=f"no-{action.key}"):
            del st.session_state[asked]
            st.rerun()


def _execute(session: Session, action: ConfirmedAction, reason: str) -> None:
    try:
        with st.spinner(session.words("asking.working")):
            said = action.do(reason, st.session_state[f"asked-{action.key}"])
    except SessionExpiredError:
        raise
    except ApiError as error:
        log.info("an action had trouble", action=action.key, error=type(error).__name__)
        if isinstance(error, RequestRejectedError):
            # A new key: the next try is another request.
            st.session_state[f"asked-{action.key}"] = uuid.uuid4().hex
        show_error(session.words, error, key=f"act-{action.key}")
        return
    del st.session_state[f"asked-{action.key}"]
    set_last_result(said)
    st.rerun()


def set_last_result(said: str, tone: Tone = "good") -> None:
    """Say something on the next drawing of the page."""
    st.session_state[_LAST_RESULT] = (tone, said)


def last_result() -> None:
    """What the last action said; once."""
    if _LAST_RESULT in st.session_state:
        tone, said = st.session_state.pop(_LAST_RESULT)
        notice(tone, said)


_ONE_TIME_SECRET = "vigie_secret"  # noqa: S105 - where it is kept, not what it is


def set_one_time_secret(said: str, text: str | None) -> None:
    """Show ``text`` on the next drawing; nothing where there is none."""
    if text:
        st.session_state[_ONE_TIME_SECRET] = (said, text)


def show_one_time_secret(session: Session) -> None:
    if _ONE_TIME_SECRET not in st.session_state:
        return
    words = session.words
    said, text = st.session_state[_ONE_TIME_SECRET]
    with st.container(border=True, key="secret"):
        notice("warn", words("administration.shown_once"), f"{said} {words('administration.shown_once_text')}")
        st.code(text, language=None)
        if st.button(words("administration.noted"), key="secret-noted", type="primary"):
            del st.session_state[_ONE_TIME_SECRET]
            st.rerun()
