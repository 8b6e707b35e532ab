"""What stands around the pages: who is signed in, which pages there are, language, exercise mode, alerts."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st
import structlog

from services.dashboard import account, alerts, browser, sign_in, style
from services.dashboard import session as sessions
from services.dashboard.client import AwayError, SessionOverError, Trouble
from services.dashboard.pages import PAGES, PageEntry, for_role
from services.dashboard.session import Session
from services.dashboard.states import notice, trouble
from services.dashboard.words import LANGUAGES, Words

log = structlog.get_logger(__name__)


def run() -> None:
    words = Words(sessions.language())
    st.set_page_config(
        page_title=words("shell.product"),
        page_icon=str(Path(__file__).parent / "icon.png"),
        layout="wide",
        initial_sidebar_state=270,
        menu_items={"Get help": None, "Report a bug": None, "About": None},
    )
    style.apply()
    try:
        session = sessions.current()
    except SessionOverError:
        _sign_in(words, ended=True)
    except AwayError as error:
        _hidden_navigation(words)
        st.title(words("shell.product"))
        trouble(words, error, key="start")
    else:
        if session is None:
            _sign_in(words, ended=False)
        else:
            _signed_in(session)
    browser.keep(words.language, sessions.exercise())


def _signed_in(session: Session) -> None:
    words = session.words
    entries = for_role(session.user.role)
    pages = {entry.module: _page(entry, words, partial(_render, entry, session)) for entry in entries}

    def home() -> None:
        wanted = st.query_params.get("next", "")
        found = next((entry for entry in entries if f"/{entry.path}" == wanted), entries[0])
        st.switch_page(pages[found.module])

    # The start page is a page of its own that goes on at once: so every page keeps its own address.
    start = st.Page(home, title=words("shell.product"), url_path="start", default=True, visibility="hidden")
    sections: dict[str, list[st.Page]] = {"": [start]}
    for entry in entries:
        sections.setdefault(words(entry.section), []).append(pages[entry.module])
    chosen = st.navigation(sections, expanded=True)
    _side(session)
    if session.exercise:
        notice("exercise", words("shell.exercise_on"), words("shell.exercise_on_text"))
    try:
        alerts.banner(session)
    except Trouble as error:
        trouble(words, error, key="banner")
        return
    chosen.run()


def _page(entry: PageEntry, words: Words, draw: Callable[[], None]) -> st.Page:
    return st.Page(draw, title=words(entry.title), icon=entry.icon, url_path=entry.path)


def _render(entry: PageEntry, session: Session) -> None:
    """A page never ends in a stack trace: what went wrong is said and logged."""
    module = importlib.import_module(f"services.dashboard.pages.{entry.module}")
    try:
        module.render(session)
    except Trouble as error:
        trouble(session.words, error, key=entry.module)
    except Exception:  # whatever it is, the person is told and the log has it
        log.exception("a page failed", page=entry.module)
        trouble(session.words, Trouble(), key=entry.module)


def _side(session: Session) -> None:
    words, user = session.words, session.user
    with st.sidebar:
        _language(words)
        if sessions.may_exercise(user):
            on = st.toggle(words("shell.exercise"), value=session.exercise, help=words("shell.exercise_help"))
            if on != session.exercise:
                sessions.choose_exercise(on)
                st.rerun()
        centre = words("terms.all_centres") if user.centres is None else user.centre
        st.caption(
            words("shell.signed_in_as", name=user.name, role=words(f"terms.{user.role}"), centre=centre).replace(
                "_", "\\_"
            )
        )
        if user.must_change_password:
            st.caption(words("shell.must_change"))
        if st.button(words("shell.change_password"), width="stretch", icon=":material/key:"):
            account.open_dialog(session)
        if st.button(words("shell.sign_out"), width="stretch", icon=":material/logout:"):
            try:
                sessions.sign_out()
            except Trouble as error:
                trouble(words, error, key="sign-out")
            else:
                sign_in.leave()
                st.stop()


def _language(words: Words) -> None:
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
        sessions.choose_language(chosen)
        st.rerun()


def _sign_in(words: Words, *, ended: bool) -> None:
    chosen = _hidden_navigation(words)
    wanted = st.query_params.get("next", "")
    _, right = st.columns([5, 2])
    with right:
        _language(words)
    page = wanted if wanted.startswith("/") else f"/{chosen.url_path}"
    sign_in.render(words, "/" if page == "/start" else page, ended=ended)


def _hidden_navigation(words: Words) -> st.Page:
    """All addresses are known, so that the one that was asked for is kept; nothing of them is drawn."""
    nothing = st.Page(_nothing, title=words("shell.sign_in"), url_path="start", default=True)
    others = [_page(entry, words, _nothing) for entry in PAGES]
    return st.navigation([nothing, *others], position="hidden")


def _nothing() -> None:
    """Stands for a page that is not drawn."""
