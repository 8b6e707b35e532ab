"""The page Models: the serving version, all versions with roles and gate results, and the actions on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.auth.principal import Role
from services.core.contract.use_case import UseCase
from services.core.model_registry.version import ALIASES, CHALLENGER, CHAMPION, PREVIOUS, Tag
from services.dashboard import drafts
from services.dashboard.api.client import Service
from services.dashboard.components.data_display import Html, table
from services.dashboard.components.feedback import (
    badge,
    empty_state,
    error_boundary,
    last_result,
    loading_spinner,
    notice,
)
from services.dashboard.components.use_cases import choose_use_case
from services.dashboard.pages.models.actions import approvals, freeze_panel, promote_button, rollback_button, stop_panel
from services.dashboard.pages.models.version import TONES, show_version
from services.dashboard.session import Session

SHOWN = 12


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_models"))
    use_case = choose_use_case(session, key="models")
    if use_case is None:
        empty_state(words("asking.no_use_case"), words("asking.no_use_case_text"))
        return
    last_result()
    if session.has_platform_role(Role.OPERATOR):
        with error_boundary(words, key="approvals"):
            approvals(session, use_case)
    with loading_spinner(words, words("models.loading")):
        found = session.client.get(Service.GATEWAY, f"/admin/models/{use_case.name}")
    versions: list[dict[str, Any]] = found["versions"]
    with error_boundary(words, key="freeze"):
        freeze_panel(session)
    with error_boundary(words, key="stop"):
        stop_panel(session, use_case, found["champion"])
    if not versions:
        empty_state(words("models.none"), words("models.none_text"))
        return
    _serving(session, versions)
    st.subheader(words("models.versions"))
    _list(session, versions)
    _one(session, use_case, found, versions)


def _serving(session: Session, versions: list[dict[str, Any]]) -> None:
    words = session.words
    champion = with_alias(versions, CHAMPION)
    if champion is None:
        notice("warn", words("models.no_champion"))
        return
    since = champion["tags"].get(Tag.PROMOTED)
    said = words("models.serving_since", at=session.formats.moment(since)) + " UTC" if since else ""
    notice("info", words("models.serving", number=champion["number"]), said)
    if champion["simulated"]:
        notice("warn", words("models.simulated_long"), words("models.promote_simulated"))


def _list(session: Session, versions: list[dict[str, Any]]) -> None:
    words = session.words
    columns = ("version", "role", "made", "data", "gate")
    rows = []
    for version in versions[:SHOWN]:
        outcome = version["tags"].get(Tag.GATE) or "none"
        verdict = words.known(f"models.gate_{outcome}", outcome)
        rows.append(
            [
                str(version["number"]),
                Html(" ".join(_roles(session, version))),
                session.formats.moment(version["created"]),
                words("models.simulated" if version["simulated"] else "models.real"),
                Html(badge(TONES[outcome], verdict)) if outcome in TONES else verdict,
            ]
        )
    table(words("models.versions"), [words(f"models.{name}") for name in columns], rows)


def _roles(session: Session, version: Mapping[str, Any]) -> list[str]:
    roles = [
        badge("good" if alias == CHAMPION else "info", session.words(f"models.{alias}"))
        for alias in ALIASES
        if alias in version["aliases"]
    ]
    if version["tags"].get(Tag.ROLLED_BACK):
        roles.append(badge("warn", session.words("models.rolled_back")))
    return roles


def _one(session: Session, use_case: UseCase, found: Mapping[str, Any], versions: list[dict[str, Any]]) -> None:
    words = session.words
    numbers = [version["number"] for version in versions]
    challenger = with_alias(versions, CHALLENGER)
    first = numbers.index(challenger["number"]) if challenger is not None else 0
    number = st.selectbox(
        words("models.choose"),
        numbers,
        index=first,
        format_func=lambda number: words("models.version_n", number=number),
        key=drafts.kept(f"models-version-{use_case.name}", numbers, default=numbers[first]),
    )
    chosen = versions[numbers.index(number)]
    if session.has_platform_role(Role.ADMIN):
        champion, previous = with_alias(versions, CHAMPION), with_alias(versions, PREVIOUS)
        row = st.container()
        with row:
            if (champion is None or champion["number"] != number) and not found["frozen"]:
                promote_button(session, use_case, chosen, champion)
            if champion is not None and previous is not None:
                rollback_button(session, use_case, champion, previous)
    else:
        st.caption(words("models.admin_only"))
    others = [other for other in numbers if other != number]
    against = found["champion"] if found["champion"] in others else (others[0] if others else 0)
    show_version(session, use_case, number, others, against=against)


def with_alias(versions: list[dict[str, Any]], alias: str) -> dict[str, Any] | None:
    return next((version for version in versions if alias in version["aliases"]), None)
