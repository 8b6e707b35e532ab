"""The page Administration, with its section Audit log: filters, paging, verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import streamlit as st

from services.core import use_case_registry
from services.dashboard import drafts
from services.dashboard.api.client import LONG_TIMEOUT, Service
from services.dashboard.components.data_display import Html, table
from services.dashboard.components.feedback import (
    Tone,
    badge,
    empty_state,
    error_boundary,
    last_result,
    loading_spinner,
    notice,
    show_one_time_secret,
)
from services.dashboard.pages.administration.api_keys import show_keys
from services.dashboard.pages.administration.users import show_centres, show_retention, show_users
from services.dashboard.session import Session

AUDIT_PATH = "/admin/audit"
ROWS = 50
OUTCOMES = ("any", "ok", "refused", "failed")
_OUTCOME_TONES: dict[str, Tone] = {"ok": "good", "refused": "warn", "failed": "bad"}
_CURSOR = "audit-before"


def show_audit(session: Session) -> None:
    _verification(session)
    wanted = _filters(session)
    if st.session_state.get("audit-wanted") != wanted:
        st.session_state["audit-wanted"] = wanted
        st.session_state.pop(_CURSOR, None)
    with loading_spinner(session.words):
        before = st.session_state.get(_CURSOR)
        found = session.client.get(Service.GATEWAY, AUDIT_PATH, **wanted, before=before, limit=ROWS)
    if not found["entries"]:
        empty_state(session.words("administration.no_entries"))
    else:
        _table(session, found["entries"])
    _paging(session, found["next_before"])


def _filters(session: Session) -> dict[str, Any]:
    words = session.words
    first, second, third, fourth = st.columns(4)
    actor = first.text_input(words("administration.actor"), key=drafts.kept("audit-actor"), max_chars=120).strip()
    action = second.text_input(words("administration.action"), key=drafts.kept("audit-action"), max_chars=80).strip()
    names = ["", *use_case_registry.names()]
    use_case = third.selectbox(
        words("administration.use_case"),
        names,
        format_func=lambda name: (
            words.of(use_case_registry.get(name).presentation.title) if name else words("administration.outcome_any")
        ),
        key=drafts.kept("audit-use-case", names),
    )
    outcome = fourth.selectbox(
        words("administration.outcome"),
        OUTCOMES,
        format_func=lambda name: words(f"administration.outcome_{name}"),
        key=drafts.kept("audit-outcome"),
    )
    fifth, sixth, _, _ = st.columns(4)
    since = fifth.date_input(
        words("administration.from"), value=None, key=drafts.kept("audit-from"), format="YYYY-MM-DD"
    )
    until = sixth.date_input(words("administration.to"), value=None, key=drafts.kept("audit-to"), format="YYYY-MM-DD")
    return {
        "actor": actor or None,
        "action": action or None,
        "use_case": use_case or None,
        "outcome": None if outcome == "any" else outcome,
        "from": _midnight(since),
        "to": _midnight(until, 1),
    }


def _midnight(day: object, later: int = 0) -> str | None:
    """Midnight at the start of a day, or of a later one to include the last day."""
    if not isinstance(day, date):
        return None
    return datetime.combine(day + timedelta(days=later), time(), UTC).isoformat()


def _table(session: Session, entries: list[Mapping[str, Any]]) -> None:
    words, formats = session.words, session.formats
    rows = []
    for entry in entries:
        details = ", ".join(f"{name} {value}" for name, value in entry["details"].items() if value not in ("", None))
        outcome = badge(
            _OUTCOME_TONES.get(entry["outcome"], "info"), words(f"administration.outcome_{entry['outcome']}")
        )
        rows.append(
            [
                formats.moment(entry["time"], "UTC", seconds=True),
                entry["actor_name"] or "–",
                entry["action"],
                entry["target"] or entry["use_case"] or "–",
                Html(outcome),
                details[:200],
            ]
        )
    names = ("when", "who", "what", "target", "outcome", "details")
    table(words("administration.audit"), [words(f"administration.{name}") for name in names], rows)


def _paging(session: Session, older: int | None) -> None:
    row = st.container(horizontal=True)
    if st.session_state.get(_CURSOR) and row.button(session.words("administration.newest"), key="audit-newest"):
        st.session_state.pop(_CURSOR, None)
        st.rerun()
    if older is not None and row.button(session.words("administration.older"), key="audit-older"):
        st.session_state[_CURSOR] = older
        st.rerun()


def _verification(session: Session) -> None:
    words = session.words
    if session.user.centres is not None:
        return
    help_text = words("administration.verify_text")
    if not st.button(
        words("administration.verify"), key="audit-verify", icon=":material/verified_user:", help=help_text
    ):
        return
    with loading_spinner(words):
        answer = session.client.ask("GET", Service.GATEWAY, f"{AUDIT_PATH}/verification", timeout=LONG_TIMEOUT)
    found = answer.json()
    if found["intact"]:
        mark = f"{found['sequence']}:{found['hash']}"
        entries = session.formats.number(found["entries"])
        notice("good", words("administration.intact"), words("administration.intact_text", entries=entries, mark=mark))
    else:
        notice("bad", words("administration.broken"), words("administration.broken_text"), found["faults"][:20])


SECTIONS: dict[str, Callable[[Session], None]] = {
    "users": show_users,
    "centres": show_centres,
    "keys": show_keys,
    "audit": show_audit,
    "retention": show_retention,
}


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_administration"))
    last_result()
    show_one_time_secret(session)
    section = st.segmented_control(
        words("administration.section"),
        list(SECTIONS),
        default="users",
        format_func=lambda name: words(f"administration.{name}"),
        key=drafts.kept("administration-section"),
        required=True,
    )
    with error_boundary(words, key="administration"):
        SECTIONS[section or "users"](session)
