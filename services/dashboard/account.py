"""Changing one's own password: a dialog, and a word to those who have to."""

from __future__ import annotations

import streamlit as st

from services.dashboard.client import ForbiddenError, RefusedError, Service, Trouble
from services.dashboard.session import Session, forget_sign_in
from services.dashboard.sign_in import enter
from services.dashboard.states import notice, trouble


def open_dialog(session: Session) -> None:
    words = session.words

    @st.dialog(words("shell.change_password"))
    def dialog() -> None:
        if session.user.must_change_password:
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
        except ForbiddenError:
            notice("bad", words("shell.wrong_password"))
        except RefusedError as error:
            notice("bad", words("shell.refused"), str(error))
        except Trouble as error:
            trouble(words, error, key="password")
        else:
            # Every sign-in of the person has ended with the old password, this one too.
            forget_sign_in()
            enter(words, session.user.name, new, "/")

    dialog()
