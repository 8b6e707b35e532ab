"""Which use case a page is about: chosen once, kept from page to page and in the address."""

from __future__ import annotations

import streamlit as st

from services.core.usecases import registry
from services.core.usecases.contract import UseCase
from services.dashboard.session import Session

_CHOSEN, _PARAMETER = "vigie_subject", "use_case"


def choose_use_case(session: Session, *, key: str) -> UseCase | None:
    """The use case that the person looks at; None where there is none that they may. Declared ones, whether or not
    prediction answers: these pages are needed most when it does not."""
    allowed = session.user.use_cases
    declared = [item for item in registry.every() if allowed is None or item.name in allowed]
    if not declared:
        return None
    names = [item.name for item in declared]
    wanted = st.session_state.get(_CHOSEN) or st.query_params.get(_PARAMETER)
    at = names.index(wanted) if wanted in names else 0
    by_name = {item.name: item for item in declared}
    chosen = st.selectbox(
        session.words("asking.use_case"),
        names,
        index=at,
        format_func=lambda name: session.words.of(by_name[name].title),
        key=f"subject-{key}",
    )
    st.session_state[_CHOSEN] = st.query_params[_PARAMETER] = chosen
    return by_name[chosen]
