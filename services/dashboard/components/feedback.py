"""User feedback: notices, errors, empty states, open alerts, confirmation dialogs with their result, and one-time
secrets.
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
from services.dashboard import drafts
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
    """Show a notice; never by colour alone. Bad news interrupts a screen reader unless it is the page's regular content
    (not ``urgent``)."""
    items = "".join(f"<li>{escape(point)}</li>" for point in points or [])
    role = "alert" if tone == "bad" and urgent else "status"
    st.html(
        f"<div class='v-notice {tone}' role='{role}'><strong>{escape(title)}</strong>{escape(text)}"
        + (f"<ul>{items}</ul>" if items else "")
        + "</div>"
    )


def badge(tone: Tone, word: str, *, large: bool = False) -> str:
    """HTML of a coloured badge."""
    return f"<span class='v-tag {tone}{' large' if large else ''}'>{escape(word)}</span>"


def empty_state(title: str, text: str = "") -> None:
    """Show that there is no content yet, and how to create it."""
    st.html(f"<div class='v-empty' role='status'><strong>{escape(title)}</strong>{escape(text)}</div>")


@contextmanager
def loading_spinner(words: Translator, text: str | None = None) -> Iterator[None]:
    """Show a spinner while data is loading."""
    with st.spinner(text or words("shell.loading")):
        yield


def show_error(words: Translator, error: ApiError, *, key: str = "page") -> None:
    """Show an error, with a button to retry or sign in."""
    if isinstance(error, SessionExpiredError):
        notice("warn", words("shell.session_over"), words("shell.session_over_text"))
        if st.button(words("shell.sign_in_again"), key=f"again-{key}", type="primary"):
            # Imported here, because the session module must not import components.
            from services.dashboard.session import forget_sign_in  # noqa: PLC0415

            forget_sign_in()
            st.rerun()
        return
    if isinstance(error, ServiceUnavailableError):
        service = words.known(f"shell.service_{error.service}", error.service)
        if " " in error.reason:  # it answered with a sentence about the service behind it
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
    """Show an error in place of one part of a page; the rest of the page renders."""
    try:
        yield
    except ApiError as error:
        log.info("a page's part has trouble", part=key, error=type(error).__name__)
        show_error(words, error, key=key)


_SEVERITY_TONES: dict[str, Tone] = {"page": "bad", "ticket": "warn", "info": "info"}
_SEVERITIES = list(_SEVERITY_TONES)
_SHOWN_ALERTS = 3


def alert_banner(session: Session) -> None:
    """Show open alerts; nothing if there are none or the route is missing. A page never waits or fails for its banner.

    Raises:
        SessionExpiredError: the session has expired.
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
    """Open alerts, most severe first; empty if they are unavailable."""
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
    """An action that needs confirmation. ``do`` gets the reason (empty without ``reason``) and an idempotency key; it
    returns a sentence with the result."""

    key: str
    button: str
    title: str
    consequence: str
    do: Callable[[str, str], str]
    points: Sequence[str] = ()
    reason: str = ""
    """Label of the reason field; empty if no reason is required."""
    least: int = 0
    """Minimum length of the reason."""
    tone: Tone = "warn"
    primary: bool = False
    icon: str | None = None


def confirm_button(session: Session, action: ConfirmedAction) -> None:
    """Show a button; once pressed, it is replaced by the question with the consequence."""
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
            given = st.text_input(action.reason, key=drafts.kept(f"reason-{action.key}"), max_chars=500).strip()
        row = st.container(horizontal=True)
        if row.button(words("asking.yes", action=action.button), key=f"yes-{action.key}", type="primary"):
            if len(given) < action.least:
                notice("warn", words("asking.reason_needed"))
            else:
                _execute(session, action, given)
        if row.button(words("asking.cancel"), key=f"no-{action.key}"):
            del st.session_state[asked]
            drafts.drop(f"reason-{action.key}")
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
            # A new idempotency key: the next attempt is another request.
            st.session_state[f"asked-{action.key}"] = uuid.uuid4().hex
        show_error(session.words, error, key=f"act-{action.key}")
        return
    del st.session_state[f"asked-{action.key}"]
    drafts.drop(f"reason-{action.key}")
    set_last_result(said)
    st.rerun()


def set_last_result(said: str, tone: Tone = "good") -> None:
    """Store a message for the next render of the page."""
    st.session_state[_LAST_RESULT] = (tone, said)


def last_result() -> None:
    """Show the last action's message, once."""
    if _LAST_RESULT in st.session_state:
        tone, said = st.session_state.pop(_LAST_RESULT)
        notice(tone, said)


_ONE_TIME_SECRET = "vigie_secret"  # noqa: S105 - a key of the session state, not a secret


def set_one_time_secret(said: str, text: str | None) -> None:
    """Show ``text`` once on the next render; None shows nothing."""
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
