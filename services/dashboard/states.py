"""What a page says when it has nothing to show: it loads, there is nothing yet, or something went wrong. In plain
words, with what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Literal

import streamlit as st
import structlog

from services.dashboard.client import AwayError, ForbiddenError, NotThereError, RefusedError, SessionOverError, Trouble
from services.dashboard.words import Words

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


def tag(tone: Tone, word: str, *, large: bool = False) -> str:
    """HTML of a word on its colour."""
    return f"<span class='v-tag {tone}{' large' if large else ''}'>{escape(word)}</span>"


def empty(title: str, text: str = "") -> None:
    """Nothing there yet, and how there will be."""
    st.html(f"<div class='v-empty' role='status'><strong>{escape(title)}</strong>{escape(text)}</div>")


@contextmanager
def loading(words: Words, text: str | None = None) -> Iterator[None]:
    """While something is fetched that takes longer than a moment."""
    with st.spinner(text or words("shell.loading")):
        yield


def trouble(words: Words, error: Trouble, *, key: str = "page") -> None:
    """What went wrong, and a button to try again or sign in."""
    if isinstance(error, SessionOverError):
        notice("warn", words("shell.session_over"), words("shell.session_over_text"))
        if st.button(words("shell.sign_in_again"), key=f"again-{key}", type="primary"):
            # Only here, because the session's module draws nothing and knows no states.
            from services.dashboard.session import forget_sign_in  # noqa: PLC0415

            forget_sign_in()
            st.rerun()
        return
    if isinstance(error, AwayError):
        service = words.known(f"shell.service_{error.service}", error.service)
        if " " in error.reason:  # it answered, with a sentence about what stands behind it
            notice("bad", words("asking.behind"), words("shell.away_text"), [error.reason])
        else:
            notice("bad", words("shell.away", service=service), words("shell.away_text"))
    elif isinstance(error, ForbiddenError):
        notice("warn", words("shell.forbidden"), words("shell.forbidden_text"))
        return
    elif isinstance(error, NotThereError):
        notice("warn", words("shell.not_there"), words("shell.not_there_text"))
    elif isinstance(error, RefusedError):
        reasons = [fault.get("reason", "") for fault in error.faults]
        notice("bad", words("shell.refused"), "", [reason for reason in reasons if reason])
    else:
        notice("bad", words("shell.failed"), words("shell.failed_text"))
    if st.button(words("shell.try_again"), key=f"again-{key}"):
        st.rerun()


@contextmanager
def guarded(words: Words, *, key: str = "page") -> Iterator[None]:
    """A part of a page that may not get what it needs: then it says so, and the rest of the page goes on."""
    try:
        yield
    except Trouble as error:
        log.info("a page's part has trouble", part=key, error=type(error).__name__)
        trouble(words, error, key=key)
