"""Layout around the pages: navigation, side bar with language and exercise mode, and alert banner."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st
import structlog

from services.core.messages import LANGUAGES, Translator
from services.dashboard import i18n
from services.dashboard import session as sessions
from services.dashboard.api.client import (
    ApiError,
    ServiceUnavailableError,
    SessionExpiredError,
)
from services.dashboard.components import feedback, frontend
from services.dashboard.components.feedback import notice, show_error
from services.dashboard.pages import PAGES, PageEntry, for_role
from services.dashboard.session import Session
from services.dashboard.sign_in import (
    password_dialog,
    password_form,
    redirect_after_sign_out,
    second_factor_dialog,
    second_factor_form,
    sign_in_form,
)


def _pending_page(session: Session) -> None:
    """The only page for users with a first password or without a required second factor."""
    _hidden_navigation(session.words)
    with st.sidebar:
        _language(session.words)
        _sign_out_button(session.words)
    if session.user.pending == "second_factor":
        st.title(session.words("shell.second_factor"))
        second_factor_form(session)
        return
    st.title(session.words("shell.change_password"))
    password_form(session)


log = structlog.get_logger(__name__)


def run_app() -> None:
    words = Translator(i18n.language())
    st.set_page_config(
        page_title=words("shell.product"),
        page_icon=str(Path(__file__).parent / "icon.png"),
        layout="wide",
        initial_sidebar_state=270,
        menu_items={"Get help": None, "Report a bug": None, "About": None},
    )
    frontend.apply_style()
    try:
        session = sessions.current_session()
    except SessionExpiredError:
        _sign_in_page(words, ended=True)
    except ServiceUnavailableError as error:
        _hidden_navigation(words)
        st.title(words("shell.product"))
        show_error(words, error, key="start")
    else:
        if session is None:
            _sign_in_page(words, ended=False)
        elif session.user.pending:
            _pending_page(session)
        else:
            _signed_in(session)
    frontend.store_preferences(words.language, sessions.exercise())


def _signed_in(session: Session) -> None:
    words = session.words
    entries = for_role(session.user.role)
    pages = {entry.module: _page(entry, words, partial(_render, entry, session)) for entry in entries}

    def home() -> None:
        wanted = st.query_params.get("next", "")
        found = next((entry for entry in entries if f"/{entry.path}" == wanted), entries[0])
        st.switch_page(pages[found.module])

    # The start page is separate and redirects, so that every page has an address of its own.
    start = st.Page(home, title=words("shell.product"), url_path="start", default=True, visibility="hidden")
    sections: dict[str, list[st.Page]] = {"": [start]}
    for entry in entries:
        sections.setdefault(words(entry.section), []).append(pages[entry.module])
    chosen = st.navigation(sections, expanded=True)
    _sidebar(session)
    if session.exercise:
        notice("exercise", words("shell.exercise_on"), words("shell.exercise_on_text"))
    try:
        feedback.alert_banner(session)
    except ApiError as error:
        show_error(words, error, key="banner")
        return
    chosen.run()


def _page(entry: PageEntry, words: Translator, draw: Callable[[], None]) -> st.Page:
    return st.Page(draw, title=words(entry.title), icon=entry.icon, url_path=entry.path)


def _render(entry: PageEntry, session: Session) -> None:
    """Render a page; unexpected errors are shown as a notice and logged, never as a traceback."""
    module = importlib.import_module(f"services.dashboard.pages.{entry.module}")
    try:
        module.render(session)
    except ApiError as error:
        show_error(session.words, error, key=entry.module)
    except Exception:  # any error: the page shows a notice and the log has the traceback
        log.exception("a page failed", page=entry.module)
        show_error(session.words, ApiError(), key=entry.module)


def _sidebar(session: Session) -> None:
    words, user = session.words, session.user
    with st.sidebar:
        _language(words)
        if sessions.can_exercise(user):
            on = st.toggle(words("shell.exercise"), value=session.exercise, help=words("shell.exercise_help"))
            if on != session.exercise:
                sessions.set_exercise(on)
                st.rerun()
        centre = words("terms.all_centres") if user.centres is None else user.centre
        st.caption(
            words("shell.signed_in_as", name=user.name, role=words(f"terms.{user.role}"), centre=centre).replace(
                "_", "\\_"
            )
        )
        if st.button(words("shell.change_password"), width="stretch", icon=":material/key:"):
            password_dialog(session)
        if st.button(words("shell.second_factor"), width="stretch", icon=":material/phonelink_lock:"):
            second_factor_dialog(session)
        _sign_out_button(words)


def _sign_out_button(words: Translator) -> None:
    if st.button(words("shell.sign_out"), width="stretch", icon=":material/logout:"):
        try:
            sessions.sign_out()
        except ApiError as error:
            show_error(words, error, key="sign-out")
        else:
            redirect_after_sign_out()
            st.stop()


def _language(words: Translator) -> None:
    codes = list(LANGUAGES)
    chosen = st.segmented_control(
        words("shell.language"),
        codes,
        default=words.language,
        format_func=LANGUAGES.__getitem__,
        key=f"language-{words.language}",
        required=True,
    )
    if chosen is not None and chosen != words.language:
        i18n.set_language(chosen)
        st.rerun()


def _sign_in_page(words: Translator, *, ended: bool) -> None:
    chosen = _hidden_navigation(words)
    wanted = st.query_params.get("next", "")
    _, right = st.columns([5, 2])
    with right:
        _language(words)
    page = wanted if wanted.startswith("/") else f"/{chosen.url_path}"
    sign_in_form(words, "/" if page == "/start" else page, ended=ended)


def _hidden_navigation(words: Translator) -> st.Page:
    """Register all addresses, so that the requested one is preserved, without rendering any page."""
    nothing = st.Page(_empty_page, title=words("shell.sign_in"), url_path="start", default=True)
    others = [_page(entry, words, _empty_page) for entry in PAGES]
    return st.navigation([nothing, *others], position="hidden")


def _empty_page() -> None:
    """Placeholder for a page that is not rendered."""
