"""Actions that change something: what follows from them is said first, in words, and what came of them afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st
import structlog

from services.dashboard.client import RefusedError, SessionOverError, Trouble
from services.dashboard.session import Session
from services.dashboard.states import Tone, notice, trouble

log = structlog.get_logger(__name__)
_TOLD = "vigie_told"


@dataclass(frozen=True, slots=True)
class Action:
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


def offer(session: Session, action: Action) -> None:
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
                _done(session, action, given)
        if row.button(words("asking.cancel"), key=f"no-{action.key}"):
            del st.session_state[asked]
            st.rerun()


def _done(session: Session, action: Action, reason: str) -> None:
    try:
        with st.spinner(session.words("asking.working")):
            said = action.do(reason, st.session_state[f"asked-{action.key}"])
    except SessionOverError:
        raise
    except Trouble as error:
        log.info("an action had trouble", action=action.key, error=type(error).__name__)
        if isinstance(error, RefusedError):
            # A new key: the next try is another request.
            st.session_state[f"asked-{action.key}"] = uuid.uuid4().hex
        trouble(session.words, error, key=f"act-{action.key}")
        return
    del st.session_state[f"asked-{action.key}"]
    tell(said)
    st.rerun()


def tell(said: str, tone: Tone = "good") -> None:
    """Say something on the next drawing of the page."""
    st.session_state[_TOLD] = (tone, said)


def told() -> None:
    """What the last action said; once."""
    if _TOLD in st.session_state:
        tone, said = st.session_state.pop(_TOLD)
        notice(tone, said)
