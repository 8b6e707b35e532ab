"""Front-end assets beside Streamlit's elements: theme, style sheet and colours, and scripts for redirects, cookies and
printing.

The palette is Okabe and Ito's (Color Universal Design, 2008), which is safe for colour-blind people. Colour is never
the only cue: a word states the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import streamlit as st

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
INK, QUIET, LINE, PAPER = "#14202B", "#4A5866", "#C9D2DA", "#FFFFFF"

THEME: dict[str, Any] = {
    "base": "light",
    "primaryColor": "#005A8F",
    "backgroundColor": PAPER,
    "secondaryBackgroundColor": "#EEF2F5",
    "textColor": INK,
    "linkColor": "#005A8F",
    "baseFontSize": 18,
    "borderColor": LINE,
    "showWidgetBorder": True,
    "headingFontSizes": ["1.9rem", "1.4rem", "1.15rem", "1rem", "1rem", "1rem"],
}

_CSS = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def apply_style() -> None:
    st.html(f"<style>{_CSS}</style>")


SESSION_COOKIE = "vigie_session"
"""Set by the gateway as HttpOnly: scripts cannot read it."""
LANGUAGE_COOKIE = "vigie_language"
EXERCISE_COOKIE = "vigie_exercise"
_YEAR = 31_536_000
_ACCESSIBILITY_SCRIPT = """
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
"""Accessibility fixes: Streamlit's list of pages has headings between its items, which is invalid for screen readers,
so that it becomes plain links in a navigation. Charts that are too wide scroll, also by keyboard."""


def redirect(address: str) -> None:
    """Redirect the browser to another address of the platform."""
    _run_script(f"window.location.replace({_js_string(address)});")


def store_preferences(language: str, exercise: bool) -> None:
    """Store language and exercise mode in cookies (exercise mode: until the browser is closed), and set the page's
    language for screen readers."""
    cookies = [
        f"{LANGUAGE_COOKIE}={language}; path=/; max-age={_YEAR}; SameSite=Strict",
        f"{EXERCISE_COOKIE}=1; path=/; SameSite=Strict" if exercise else f"{EXERCISE_COOKIE}=; path=/; max-age=0",
    ]
    lines = [f"document.cookie = {_js_string(cookie)};" for cookie in cookies]
    _run_script(f"document.documentElement.lang = {_js_string(language)};" + "".join(lines) + _ACCESSIBILITY_SCRIPT)


def print_page() -> None:
    _run_script("window.print();")


def _run_script(script: str) -> None:
    st.html(f"<span aria-hidden='true'></span><script>{script}</script>", unsafe_allow_javascript=True)


def _js_string(text: str) -> str:
    return json.dumps(text).replace("<", "\\u003c")
