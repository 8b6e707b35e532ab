"""How it looks: large type, colours that colour-blind people tell apart, readable from two metres and on a phone.

The eight colours are Okabe and Ito's (Color Universal Design, 2008). No colour stands alone: a word says it too."""

from __future__ import annotations

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


def apply() -> None:
    st.html(f"<style>{_CSS}</style>")
