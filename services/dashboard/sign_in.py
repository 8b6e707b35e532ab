"""Sign-in form, change of one's own password, and enrolment of a second factor."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

import streamlit as st

from services.core.messages import Translator
from services.dashboard.api.client import (
    ApiError,
    PermissionDeniedError,
    RequestRejectedError,
    Service,
    ServiceUnavailableError,
    SessionExpiredError,
    entry_code,
    identity_provider,
)
from services.dashboard.components import frontend
from services.dashboard.components.feedback import notice, show_error
from services.dashboard.session import Session, forget_sign_in
from services.dashboard.settings import settings

_NEEDS_CODE, _ENROLMENT = "sign-in-needs-code", "second-factor"


def sign_in_form(words: Translator, page: str, *, ended: bool) -> None:
    """Show the sign-in form. ``page`` is the path to open afterwards; ``ended``: an earlier session has expired."""
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
            needs_code = bool(st.session_state.get(_NEEDS_CODE))
            code = st.text_input(words("shell.code"), autocomplete="one-time-code", max_chars=20) if needs_code else ""
            sent = st.form_submit_button(words("shell.sign_in_button"), type="primary", width="stretch")
        if sent:
            submit_sign_in(words, name, password, page, code)
        _provider_link(words, page)


def _provider_link(words: Translator, page: str) -> None:
    """Offer the sign-in at the identity provider, where there is one."""
    try:
        if not identity_provider():
            return
    except ApiError:
        return  # the form above says it if the gateway does not answer
    address = f"{settings().sign_in_address(st.context.url or '')}/auth/oidc/login?{urlencode({'next': page})}"
    st.link_button(words("shell.provider"), address, width="stretch")


def submit_sign_in(words: Translator, name: str, password: str, page: str, code: str = "") -> None:
    """Check password and code and redirect the browser to the gateway, which sets the session cookie."""
    if not name.strip() or not password:
        notice("warn", words("shell.both_needed"))
        return
    try:
        entry = entry_code(name, password, code)
    except PermissionDeniedError:
        st.session_state[_NEEDS_CODE] = True
        st.rerun()
    except SessionExpiredError:
        notice("bad", words("shell.wrong_password"))
    except RequestRejectedError as error:
        notice("bad", words("shell.too_many" if error.status == 429 else "shell.wrong_password"))
    except ServiceUnavailableError as error:
        show_error(words, error, key="sign-in")
    else:
        door = settings().sign_in_address(st.context.url or "")
        address = f"{door}/auth/enter?{urlencode({'code': entry, 'next': page})}"
        notice("good", words("shell.signing_in"))
        st.html(f"<a href='{escape(address, quote=True)}' target='_self'>{escape(words('shell.go_on'))}</a>")
        frontend.redirect(address)


def redirect_after_sign_out() -> None:
    """Continue sign-out at the gateway, which deletes the cookies and redirects back."""
    door = settings().sign_in_address(st.context.url or "")
    frontend.redirect(f"{door}/auth/session/continue?next=%2F")


def password_dialog(session: Session) -> None:
    @st.dialog(session.words("shell.change_password"))
    def dialog() -> None:
        password_form(session)

    dialog()


def password_form(session: Session) -> None:
    words = session.words
    if session.user.pending == "password":
        st.markdown(words("shell.must_change"))
    with st.form("password", border=False):
        given = st.text_input(words("shell.current_password"), type="password", autocomplete="current-password")
        new = st.text_input(words("shell.new_password"), type="password", autocomplete="new-password")
        again = st.text_input(words("shell.repeat_password"), type="password", autocomplete="new-password")
        sent = st.form_submit_button(words("shell.change_password"), type="primary")
    if not sent:
        return
    if new != again:
        notice("warn", words("shell.not_the_same"))
        return
    try:
        session.client.post(Service.GATEWAY, "/auth/password", {"current": given, "new": new})
    except PermissionDeniedError:
        notice("bad", words("shell.wrong_password"))
    except RequestRejectedError as error:
        notice("bad", words("shell.refused"), str(error))
    except ApiError as error:
        show_error(words, error, key="password")
    else:
        # A password change ends all sessions of the user, including this one.
        forget_sign_in()
        submit_sign_in(words, session.user.name, new, "/")


def second_factor_form(session: Session) -> None:
    """Enrol an authenticator app: its key, then a code of it."""
    words = session.words
    st.markdown(words("shell.enrol_text"))
    try:
        if _ENROLMENT not in st.session_state:
            if not st.button(words("shell.enrol"), type="primary"):
                return
            st.session_state[_ENROLMENT] = session.client.post(Service.GATEWAY, "/auth/second-factor", None)
        made = st.session_state[_ENROLMENT]
        st.code(made["secret"], language=None)
        with st.form("second-factor-code", border=False):
            code = st.text_input(words("shell.code"), autocomplete="one-time-code", max_chars=20)
            sent = st.form_submit_button(words("shell.enrol_confirm"), type="primary")
        if sent:
            session.client.post(Service.GATEWAY, "/auth/second-factor/confirm", {"code": code})
            del st.session_state[_ENROLMENT]
            forget_sign_in()  # all sessions end with it, this one too
            redirect_after_sign_out()
    except RequestRejectedError as error:
        notice("bad", words("shell.refused"), str(error))
    except ApiError as error:
        show_error(words, error, key="second-factor")


def second_factor_dialog(session: Session) -> None:
    @st.dialog(session.words("shell.second_factor"))
    def dialog() -> None:
        second_factor_form(session)

    dialog()
