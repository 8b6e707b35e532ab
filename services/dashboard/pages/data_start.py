"""Starting an ingestion or a retraining: what from, what follows, then one press."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.core.orchestration import NO_SOURCE
from services.core.usecases.contract import UseCase
from services.dashboard.client import Service
from services.dashboard.confirm import Action, offer
from services.dashboard.pages.data_runs import LIVE_KEY
from services.dashboard.session import Session

KINDS = ("retrain", "ingest")
PATHS = {"retrain": "/admin/retrainings", "ingest": "/admin/ingestions"}
FOLDER = "folder"
SOURCES = ("auto", "official", "simulator", FOLDER)
APPROVALS: dict[str, bool | None] = {"default": None, "yes": True, "no": False}


def start(session: Session, use_case: UseCase) -> None:
    words = session.words
    st.subheader(words("data.start"))
    with st.container(border=True):
        kind = st.segmented_control(
            words("data.what_to_start"),
            KINDS,
            default=KINDS[0],
            format_func=lambda name: words(f"data.{name}"),
            key="data-kind",
            required=True,
        )
        source = _source(session, kind or KINDS[0])
        if kind == "ingest":
            _ingestion(session, use_case, source)
        else:
            _retraining(session, use_case, source)


def _source(session: Session, kind: str) -> str:
    words = session.words
    choices = SOURCES if kind == "ingest" else (NO_SOURCE, *SOURCES)
    chosen = st.selectbox(
        words("data.from"), choices, format_func=lambda name: words(f"data.word_{name}"), key=f"data-source-{kind}"
    )
    if chosen != FOLDER:
        return chosen
    given = st.text_input(
        words("data.folder"), key=f"data-folder-{kind}", help=words("data.folder_help"), max_chars=500
    )
    return given.strip()


def _ingestion(session: Session, use_case: UseCase, source: str) -> None:
    words = session.words
    fresh = st.checkbox(words("data.fresh"), key="data-fresh")
    body = {"use_case": use_case.name, "source": source, "fresh": fresh}
    text = words("data.start_ingest_text", source=words.known(f"data.word_{source}", source))
    _offer(session, use_case, "ingest", body, text=text, points=[words("data.start_fresh")] if fresh else [])


def _retraining(session: Session, use_case: UseCase, source: str) -> None:
    words = session.words
    force = st.checkbox(words("data.force"), key="data-force")
    approval = st.selectbox(
        words("data.approval"),
        list(APPROVALS),
        format_func=lambda name: words(f"data.approval_{name}"),
        key="data-approval",
    )
    body: dict[str, Any] = {"use_case": use_case.name, "source": source, "force": force}
    if APPROVALS[approval] is not None:
        body["require_approval"] = APPROVALS[approval]
    after = {"default": "default", "yes": "person", "no": "gate"}[approval]
    text = words("data.start_retrain_text", source=words.known(f"data.word_{source}", source))
    points = [words(f"data.start_retrain_{after}")]
    _offer(session, use_case, "retrain", body, text=text, points=points)


def _offer(
    session: Session, use_case: UseCase, kind: str, body: dict[str, Any], *, text: str, points: list[str]
) -> None:
    words, path = session.words, PATHS[kind]

    def do(_: str, key: str) -> str:
        session.client.post(Service.GATEWAY, path, body, headers={"Idempotency-Key": key})
        session.forget(f"/admin/data/{use_case.name}")
        st.session_state[LIVE_KEY] = True
        return words("data.started")

    if not body["source"]:
        st.caption(words("data.folder_help"))
        return
    offer(
        session,
        Action(
            key=f"start-{kind}-{use_case.name}",
            button=words(f"data.start_{kind}"),
            title=words(f"data.start_{kind}_title", title=words.of(use_case.title)),
            consequence=text,
            points=points,
            do=do,
            tone="info",
            primary=True,
            icon=":material/play_arrow:",
        ),
    )
