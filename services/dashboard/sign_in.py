"""The sign-in form. The password goes to the gateway and is kept nowhere; the browser then enters with a code."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

import streamlit as st

from services.dashboard import browser
from services.dashboard.client import AwayError, RefusedError, SessionOverError
from services.dashboard.entrance import entry_code
from services.dashboard.settings import settings
from services.dashboard.states import notice, trouble
from services.dashboard.words import Words


def render(words: Words, page: str, *, ended: bool) -> None:
    """``page`` is where to go on to, as a path. ``ended``: there was a sign-in."""
    _, middle, _ = st.columns([1, 2, 1])
    with middle:
        st.title(words("shell.product"))
        st.markdown(words("shell.tagline"))
        if ended:
            notice("warn", words("shell.session_over"), words("shell.session_over_text"))
        with st.form("sign-in", border=True):
            name = st.text_input(words("shell.user"), autocomplete="username", max_chars=200)
            password = st.text_input(
                words("shell.password"), type="password", autocomplete="current-password", max_chars=1_024
            )
            sent = st.form_submit_button(words("shell.sign_in_button"), type="primary", width="stretch")
        if sent:
            enter(words, name, password, page)


def enter(words: Words, name: str, password: str, page: str) -> None:
    """Check the password and send the browser through the gateway's door."""
    if not name.strip() or not password:
        notice("warn", words("shell.both_needed"))
        return
    try:
        code = entry_code(name, password)
    except SessionOverError:
        notice("bad", words("shell.wrong_password"))
    except RefusedError as error:
        notice("bad", words("shell.too_many" if error.status == 429 else "shell.wrong_password"))
    except AwayError as error:
        trouble(words, error, key="sign-in")
    else:
        door = settings().sign_in_address(st.context.url or "")
        address = f"{door}/auth/enter?{urlencode({'code': code, 'next': page})}"
        notice("good", words("shell.signing_in"))
        st.html(f"<a href='{escape(address, quote=True)}' target='_self'>{escape(words('shell.go_on'))}</a>")
        browser.go(address)


def leave() -> None:
    """After the sign-in was ended at the gateway: it takes the cookies away and comes back."""
    door = settings().sign_in_address(st.context.url or "")
    browser.go(f"{door}/auth/session/continue?next=%2F")
