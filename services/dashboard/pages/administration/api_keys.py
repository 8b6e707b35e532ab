"""API keys: list with status and last use; creating, rotating and revoking keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from services.core import use_case_registry
from services.core.auth.principal import Role
from services.dashboard import drafts
from services.dashboard.api.client import RequestRejectedError, Service
from services.dashboard.components.data_display import Html, table
from services.dashboard.components.feedback import (
    ConfirmedAction,
    Tone,
    badge,
    confirm_button,
    empty_state,
    loading_spinner,
    set_one_time_secret,
    show_error,
)
from services.dashboard.pages.administration.users import centres_of
from services.dashboard.session import Session

PATH = "/admin/keys"
_STATE_TONES: dict[str, Tone] = {"in_force": "good", "revoked": "bad", "expired": "warn"}


def show_keys(session: Session) -> None:
    words = session.words
    with loading_spinner(words):
        keys: list[dict[str, Any]] = session.client.get(Service.GATEWAY, PATH)
    if keys:
        names = ("name", "id", "role", "centre", "use_cases", "state", "expires", "last_used", "uses")
        rows = [_row(session, key) for key in keys]
        table(words("administration.keys"), [words(f"administration.{name}") for name in names], rows, numbers=(8,))
    else:
        empty_state(words("administration.no_keys"), words("administration.no_keys_text"))
    left, right = st.columns(2, gap="large")
    with left:
        _add(session)
    with right:
        _change(session, [key for key in keys if state_of(key) == "in_force"])


def state_of(key: Mapping[str, Any], now: datetime | None = None) -> str:
    if key["revoked_at"]:
        return "revoked"
    ends = datetime.fromisoformat(key["expires_at"])
    return "expired" if ends.replace(tzinfo=ends.tzinfo or UTC) <= (now or datetime.now(UTC)) else "in_force"


def _row(session: Session, key: Mapping[str, Any]) -> list[str]:
    words, formats, state = session.words, session.formats, state_of(key)
    used = formats.moment(key["last_used_at"]) if key["last_used_at"] else words("administration.never")
    return [
        key["name"],
        key["id"],
        words(f"terms.{key['role']}"),
        key["centre"],
        words("administration.every_use_case") if key["use_cases"] is None else ", ".join(key["use_cases"]),
        Html(badge(_STATE_TONES[state], words(f"administration.{state}"))),
        formats.moment(key["expires_at"]),
        used,
        formats.number(key["uses"]),
    ]


def _add(session: Session) -> None:
    words = session.words
    with st.container(border=True):
        st.markdown(f"**{words('administration.add_key')}**")
        name = st.text_input(words("administration.key_name"), max_chars=120, key=drafts.kept("new-key-name")).strip()
        roles = [role.value for role in Role if session.has_role(role)]
        role = st.selectbox(
            words("administration.role"),
            roles,
            index=roles.index(Role.DISPATCHER.value),
            format_func=lambda name: words(f"terms.{name}"),
            key=drafts.kept("new-key-role", roles),
        )
        centres = [line["name"] for line in centres_of(session)]
        centre = st.selectbox(words("administration.centre"), centres, key=drafts.kept("new-key-centre", centres))
        titles = {item.name: words.of(item.presentation.title) for item in use_case_registry.list_use_cases()}
        only = st.multiselect(
            words("administration.key_use_cases"), list(titles), format_func=titles.__getitem__,
            key=drafts.kept("new-key-use-cases", titles),
        )  # fmt: skip
        days = st.number_input(words("administration.key_days"), 1, 3_650, 365, key=drafts.kept("new-key-days"))
        if not st.button(words("administration.add_key"), key="new-key-add", type="primary", disabled=not name):
            return
        ends = datetime.now(UTC) + timedelta(days=int(days))
        body = {"name": name, "role": role, "centre": centre, "use_cases": only or None, "expires_at": ends.isoformat()}
        try:
            made = session.client.post(Service.GATEWAY, PATH, body)
        except RequestRejectedError as error:
            show_error(words, error, key="add-key")
            return
        drafts.drop("new-key-name")
        set_one_time_secret(words("administration.key_made", id=made["key"]["id"]), made["text"])
        st.rerun()


def _change(session: Session, keys: Sequence[Mapping[str, Any]]) -> None:
    words = session.words
    with st.container(border=True):
        st.markdown(f"**{words('administration.change_key')}**")
        if not keys:
            st.write(words("administration.no_live_keys"))
            return
        by_id = {key["id"]: key for key in keys}
        chosen = st.selectbox(
            words("administration.id"),
            list(by_id),
            format_func=lambda key_id: f"{by_id[key_id]['name']} ({key_id})",
            key=drafts.kept("change-key", by_id),
        )
        hours = st.number_input(words("administration.overlap"), 0, 24 * 90, 24, key=drafts.kept("key-overlap"))
        confirm_button(session, _rotate(session, by_id[chosen], int(hours)))
        confirm_button(session, _revoke(session, by_id[chosen]))


def _rotate(session: Session, key: Mapping[str, Any], hours: int) -> ConfirmedAction:
    words, name = session.words, key["name"]

    def do(_: str, __: str) -> str:
        made = session.client.post(Service.GATEWAY, f"{PATH}/{key['id']}/rotate", {"overlap_hours": hours})
        said = words("administration.key_made", id=made["key"]["id"])
        set_one_time_secret(said, made["text"])
        return said

    return ConfirmedAction(
        key=f"rotate-{key['id']}",
        button=words("administration.rotate", name=name),
        title=words("administration.rotate_title", name=name),
        consequence=words("administration.rotate_text", hours=session.formats.number(hours)),
        do=do,
    )


def _revoke(session: Session, key: Mapping[str, Any]) -> ConfirmedAction:
    words, name = session.words, key["name"]

    def do(_: str, __: str) -> str:
        session.client.delete(Service.GATEWAY, f"{PATH}/{key['id']}")
        return words("administration.revoke_done", name=name)

    return ConfirmedAction(
        key=f"revoke-{key['id']}",
        button=words("administration.revoke", name=name),
        title=words("administration.revoke_title", name=name),
        consequence=words("administration.revoke_text", uses=session.formats.number(key["uses"])),
        do=do,
        tone="bad",
    )
