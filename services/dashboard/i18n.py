"""Language of the page. The texts are in ``services.core.messages``."""

from __future__ import annotations

import streamlit as st

from services.core.messages import Language
from services.dashboard.components.frontend import LANGUAGE_COOKIE

_LANGUAGE = "vigie_language"


def language() -> Language:
    """The language chosen on the page, otherwise that of the last visit (a cookie), otherwise the browser's."""
    chosen = st.session_state.get(_LANGUAGE) or st.context.cookies.get(LANGUAGE_COOKIE) or st.context.locale or ""
    selected: Language = "fr" if chosen.lower().startswith("fr") else "en"
    st.session_state[_LANGUAGE] = selected
    return selected


def set_language(chosen: Language) -> None:
    st.session_state[_LANGUAGE] = chosen
