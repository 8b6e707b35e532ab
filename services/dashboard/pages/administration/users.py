"""Users, centres and retention: list and add users and centres, change roles, reset passwords, revoke access."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import streamlit as st

from services.core import use_case_registry
from services.core.auth.principal import Role
from services.dashboard import drafts
from services.dashboard.api.client import RequestRejectedError, Service
from services.dashboard.components.data_display import Html, table
from services.dashboard.components.feedback import (
    ConfirmedAction,
    badge,
    confirm_button,
    loading_spinner,
    set_last_result,
    set_one_time_secret,
    show_error,
)
from services.dashboard.session import Session


def centres_of(session: Session) -> list[dict[str, Any]]:
    path = "/admin/centres"
    found: list[dict[str, Any]] = session.remembered(path, 30, lambda: session.client.get(Service.GATEWAY, path))
    return found


def show_centres(session: Session) -> None:
    words = session.words
    rows = [[line["name"], line["title"], session.formats.day(line["created"])] for line in centres_of(session)]
    names = ("name", "title", "created")
    table(words("administration.centres"), [words(f"administration.{name}") for name in names], rows)
    if session.user.centres is not None:
        st.caption(words("administration.for_all_centres"))
        return
    with st.container(border=True):  # no form: the server knows a form's fields only once it is sent
        st.markdown(f"**{words('administration.add_centre')}**")
        name = st.text_input(
            words("administration.centre_name"), help=words("administration.centre_name_help"), max_chars=63,
            key=drafts.kept("new-centre-name"),
        )  # fmt: skip
        title = st.text_input(words("administration.title"), max_chars=200, key=drafts.kept("new-centre-title"))
        if not st.button(words("administration.add"), type="primary", key="new-centre-add"):
            return
    try:
        session.client.post(Service.GATEWAY, "/admin/centres", {"name": name.strip(), "title": title.strip()})
    except RequestRejectedError as error:
        show_error(words, error, key="add-centre")
        return
    drafts.drop("new-centre-name")
    drafts.drop("new-centre-title")
    session.forget("/admin/centres")
    set_last_result(words("administration.centre_added", name=name.strip()))
    st.rerun()


def show_retention(session: Session) -> None:
    words, formats = session.words, session.formats
    with loading_spinner(words):
        found = session.client.get(Service.GATEWAY, "/admin/retention")
    rows = []
    for name, days in found["days"].items():
        title = words.of(use_case_registry.get(name).presentation.title) if name in use_case_registry.names() else name
        kept = words("administration.days_n", days=formats.number(days)) if days else words("administration.for_ever")
        how = "pseudonyms" if name in found["pseudonymised"] else "as_said"
        rows.append([title, kept, words(f"administration.{how}")])
    names = ("use_case", "days", "places")
    table(words("administration.retention"), [words(f"administration.{name}") for name in names], rows)
    if found["jobs_days"] is not None:
        st.write(words("administration.jobs_days", days=formats.number(found["jobs_days"])))
    last = formats.moment(found["last_run"])
    st.write(words(f"administration.retention_{'last' if found['last_run'] else 'never'}", when=last))
    st.caption(words("administration.retention_text"))


PATH = "/admin/users"


def show_users(session: Session) -> None:
    words = session.words
    with loading_spinner(words):
        users: list[dict[str, Any]] = session.client.get(Service.GATEWAY, PATH)
    names = ("name", "role", "centre", "sees", "state", "created")
    rows = [_row(session, user) for user in users]
    table(words("administration.users"), [words(f"administration.{name}") for name in names], rows)
    left, right = st.columns(2, gap="large")
    with left:
        _add(session)
    with right:
        _change(session, users)


def _row(session: Session, user: Mapping[str, Any]) -> list[str]:
    words = session.words
    sees = words("administration.all") if user["centres"] == "*" else ", ".join(user["centres"]) or "–"
    state = badge("good", words("administration.active"))
    if not user["active"]:
        state = badge("bad", words("administration.inactive"))
    elif user["must_change_password"]:
        state += " " + badge("warn", words("administration.must_change"))
    role = words(f"terms.{user['role']}")
    return [user["name"], role, user["centre"], sees, Html(state), session.formats.day(user["created"])]


def _rights(session: Session, key: str, user: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Fields for role and centres, limited to the administrator's own."""
    words = session.words
    centres = [line["name"] for line in centres_of(session)]
    roles = [role.value for role in Role if session.has_role(role)]
    kept = drafts.kept if user is None else _not_kept
    now = user or {"role": Role.DISPATCHER.value, "centre": session.user.centre, "centres": []}
    role = st.selectbox(
        words("administration.role"),
        roles,
        index=roles.index(now["role"]) if now["role"] in roles else 0,
        format_func=lambda name: words(f"terms.{name}"),
        key=kept(f"role-{key}", roles),
    )
    at = centres.index(now["centre"]) if now["centre"] in centres else 0
    centre = st.selectbox(words("administration.centre"), centres, index=at, key=kept(f"centre-{key}", centres))
    everywhere = "*"
    choices = ([everywhere] if session.user.centres is None else []) + centres
    default = [everywhere] if now["centres"] == everywhere else [name for name in now["centres"] if name in centres]
    sees = st.multiselect(
        words("administration.sees"),
        choices,
        default=default,
        format_func=lambda name: words("administration.all") if name == everywhere else name,
        key=kept(f"sees-{key}", choices),
    )
    further: str | Sequence[str] = everywhere if everywhere in sees else [name for name in sees if name != centre]
    return {"role": role, "centre": centre, "centres": further}


def _not_kept(key: str, _: Collection[str]) -> str:
    """Key of a field that begins with a user's present rights, whoever changed them meanwhile."""
    return key


def _add(session: Session) -> None:
    words = session.words
    with st.container(border=True):
        st.markdown(f"**{words('administration.add_user')}**")
        name = st.text_input(
            words("administration.user_name"),
            help=words("administration.user_name_help"),
            max_chars=64,
            key=drafts.kept("new-user-name"),
        ).strip()
        rights = _rights(session, "new-user")
        if not st.button(words("administration.add"), key="new-user-add", type="primary", disabled=not name):
            return
        try:
            made = session.client.post(Service.GATEWAY, PATH, {"name": name, **rights})
        except RequestRejectedError as error:
            show_error(words, error, key="add-user")
            return
        drafts.drop("new-user-name")
        set_one_time_secret(words("administration.user_added", name=made["user"]["name"]), made["password"])
        st.rerun()


def _change(session: Session, users: Sequence[Mapping[str, Any]]) -> None:
    words = session.words
    with st.container(border=True):
        st.markdown(f"**{words('administration.change_user')}**")
        by_name = {user["name"]: user for user in users}
        if not by_name:
            return
        name = st.selectbox(words("administration.user"), list(by_name), key=drafts.kept("change-user", by_name))
        user = by_name[name]
        if name == session.user.name:
            st.caption(words("administration.yourself"))
        rights = _rights(session, f"user-{name}", user)
        confirm_button(session, _new_rights(session, user, rights))
        confirm_button(session, _new_password(session, name))
        confirm_button(session, _toggle_active(session, user))


def _new_rights(session: Session, user: Mapping[str, Any], rights: dict[str, Any]) -> ConfirmedAction:
    words, name = session.words, user["name"]

    def do(_: str, __: str) -> str:
        session.client.patch(Service.GATEWAY, f"{PATH}/{name}", rights)
        return words("administration.changed", name=name)

    role = words(f"terms.{rights['role']}")
    return ConfirmedAction(
        key=f"rights-{name}",
        button=words("administration.change"),
        title=words("administration.change_title", name=name),
        consequence=words("administration.change_text", name=name, role=role, centre=rights["centre"]),
        points=[words("administration.change_admin")] if rights["role"] == Role.ADMIN else [],
        do=do,
    )


def _new_password(session: Session, name: str) -> ConfirmedAction:
    words = session.words

    def do(_: str, __: str) -> str:
        made = session.client.post(Service.GATEWAY, f"{PATH}/{name}/password", {})
        said = words("administration.reset_done", name=name)
        set_one_time_secret(said, made["password"])
        return said

    return ConfirmedAction(
        key=f"reset-{name}",
        button=words("administration.reset", name=name),
        title=words("administration.reset_title", name=name),
        consequence=words("administration.reset_text", name=name),
        do=do,
    )


def _toggle_active(session: Session, user: Mapping[str, Any]) -> ConfirmedAction:
    words, name = session.words, user["name"]
    word = "deactivate" if user["active"] else "activate"

    def do(_: str, __: str) -> str:
        session.client.patch(Service.GATEWAY, f"{PATH}/{name}", {"active": not user["active"]})
        return words("administration.changed", name=name)

    return ConfirmedAction(
        key=f"{word}-{name}",
        button=words(f"administration.{word}", name=name),
        title=words(f"administration.{word}_title", name=name),
        consequence=words(f"administration.{word}_text", name=name),
        do=do,
    )
