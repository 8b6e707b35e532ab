"""The few things that only the browser can do: go to an address, keep a choice in a cookie, say the page's language.

Streamlit has no way for them but a script; these are fixed texts with values written as JSON."""

from __future__ import annotations

import json

import streamlit as st

SESSION_COOKIE = "vigie_session"
"""The gateway sets it; no script reads it."""
LANGUAGE_COOKIE = "vigie_language"
EXERCISE_COOKIE = "vigie_exercise"
_YEAR = 31_536_000
_NAVIGATION = """
(() => {
  const items = '[data-testid="stSidebarNavItems"], [data-testid="stSidebarNavItems"] li';
  const plain = () => {
    document.querySelectorAll(items).forEach(item => item.setAttribute('role', 'presentation'));
    document.querySelectorAll('[data-testid="stVegaLiteChart"]').forEach(chart => {
      if (chart.scrollWidth > chart.clientWidth) chart.tabIndex = 0;
    });
  };
  plain();
  if (window.vigieList) return;
  window.vigieList = new MutationObserver(() => requestAnimationFrame(plain));
  window.vigieList.observe(document.body, { childList: true, subtree: true });
})();
"""
"""Streamlit's list of pages has headings between its items, which is no list to who has it read aloud: links in a
navigation are enough. A chart that is wider than its place scrolls, with the keyboard too."""


def go(address: str) -> None:
    """Leave for another address of the platform."""
    _run(f"window.location.replace({_quoted(address)});")


def keep(language: str, exercise: bool) -> None:
    """Remember the choices for the next visit (exercise mode: until the browser is closed), and say the page's language
    to those who have it read aloud."""
    cookies = [
        f"{LANGUAGE_COOKIE}={language}; path=/; max-age={_YEAR}; SameSite=Strict",
        f"{EXERCISE_COOKIE}=1; path=/; SameSite=Strict" if exercise else f"{EXERCISE_COOKIE}=; path=/; max-age=0",
    ]
    lines = [f"document.cookie = {_quoted(cookie)};" for cookie in cookies]
    _run(f"document.documentElement.lang = {_quoted(language)};" + "".join(lines) + _NAVIGATION)


def print_page() -> None:
    _run("window.print();")


def _run(script: str) -> None:
    st.html(f"<span aria-hidden='true'></span><script>{script}</script>", unsafe_allow_javascript=True)


def _quoted(text: str) -> str:
    return json.dumps(text).replace("<", "\\u003c")
