"""The page Data and retraining: examples, tables, quarantine and sources of a use case; starts ingestions and
retrainings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.contract.use_case import UseCase
from services.core.steps import NO_SOURCE
from services.dashboard import drafts
from services.dashboard.api.client import Service
from services.dashboard.components.data_display import table
from services.dashboard.components.feedback import (
    ConfirmedAction,
    confirm_button,
    empty_state,
    error_boundary,
    last_result,
    loading_spinner,
    notice,
)
from services.dashboard.components.use_cases import choose_use_case
from services.dashboard.pages.data.preview import FOLDER, check_button
from services.dashboard.pages.data.runs import ACTIVE_KEY, show_runs
from services.dashboard.session import Session

KINDS = ("retrain", "ingest")
PATHS = {"retrain": "/admin/retrainings", "ingest": "/admin/ingestions"}
SOURCES = ("auto", "official", "simulator", FOLDER)
APPROVALS: dict[str, bool | None] = {"default": None, "yes": True, "no": False}


def start_form(session: Session, use_case: UseCase) -> None:
    words = session.words
    st.subheader(words("data.start"))
    with st.container(border=True):
        kind = st.segmented_control(
            words("data.what_to_start"),
            KINDS,
            default=KINDS[0],
            format_func=lambda name: words(f"data.{name}"),
            key=drafts.kept("data-kind"),
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
        words("data.from"), choices, format_func=lambda name: words(f"data.word_{name}"),
        key=drafts.kept(f"data-source-{kind}", choices),
    )  # fmt: skip
    if chosen != FOLDER:
        return chosen
    given = st.text_input(
        words("data.folder"), key=drafts.kept(f"data-folder-{kind}"), help=words("data.folder_help"), max_chars=500
    )
    return given.strip()


def _ingestion(session: Session, use_case: UseCase, source: str) -> None:
    words = session.words
    fresh = st.checkbox(words("data.fresh"), key=drafts.kept("data-fresh"))
    confirm = st.text_input(
        words("data.confirm"), key=drafts.kept("data-confirm"), help=words("data.confirm_help"), max_chars=500
    ).strip()
    body = {"use_case": use_case.name, "source": source, "fresh": fresh}
    body |= {"confirm": confirm} if confirm else {}
    check_button(session, use_case, source)
    text = words("data.start_ingest_text", source=words.known(f"data.word_{source}", source))
    _start_button(session, use_case, "ingest", body, text=text, points=[words("data.start_fresh")] if fresh else [])


def _retraining(session: Session, use_case: UseCase, source: str) -> None:
    words = session.words
    force = st.checkbox(words("data.force"), key=drafts.kept("data-force"))
    approval = st.selectbox(
        words("data.approval"),
        list(APPROVALS),
        format_func=lambda name: words(f"data.approval_{name}"),
        key=drafts.kept("data-approval"),
    )
    body: dict[str, Any] = {"use_case": use_case.name, "source": source, "force": force}
    if APPROVALS[approval] is not None:
        body["require_approval"] = APPROVALS[approval]
    after = {"default": "default", "yes": "person", "no": "gate"}[approval]
    text = words("data.start_retrain_text", source=words.known(f"data.word_{source}", source))
    points = [words(f"data.start_retrain_{after}")]
    _start_button(session, use_case, "retrain", body, text=text, points=points)


def _start_button(
    session: Session, use_case: UseCase, kind: str, body: dict[str, Any], *, text: str, points: list[str]
) -> None:
    words, path = session.words, PATHS[kind]

    def do(_: str, key: str) -> str:
        session.client.post(Service.GATEWAY, path, body, headers={"Idempotency-Key": key})
        session.forget(f"/admin/data/{use_case.name}")
        st.session_state[ACTIVE_KEY] = True
        return words("data.started")

    if not body["source"]:
        st.caption(words("data.folder_help"))
        return
    confirm_button(
        session,
        ConfirmedAction(
            key=f"start-{kind}-{use_case.name}",
            button=words(f"data.start_{kind}"),
            title=words(f"data.start_{kind}_title", title=words.of(use_case.presentation.title)),
            consequence=text,
            points=points,
            do=do,
            tone="info",
            primary=True,
            icon=":material/play_arrow:",
        ),
    )


FILES_SHOWN = 20


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_data"))
    use_case = choose_use_case(session, key="data")
    if use_case is None:
        empty_state(words("asking.no_use_case"), words("asking.no_use_case_text"))
        return
    last_result()
    left, right = st.columns([3, 2], gap="large")
    with left, error_boundary(words, key="data"):
        _data(session, use_case)
    with right, error_boundary(words, key="start"):
        start_form(session, use_case)
    with error_boundary(words, key="runs"):
        show_runs(session, use_case)


def _data(session: Session, use_case: UseCase) -> None:
    words = session.words
    st.subheader(words("data.there"))
    path = f"/admin/data/{use_case.name}"
    with loading_spinner(words, words("data.loading")):
        found = session.remembered(path, 10, lambda: session.client.get(Service.GATEWAY, path))
    for service in found["silent"]:
        name = words.known(f"data.service_{service}", service)
        notice("warn", words("data.silent", service=name), words("data.silent_text"))
    raw, examples = found["raw"], found["examples"]
    if raw is None:
        if "ingestion" not in found["silent"]:
            empty_state(words("data.none"), words("data.none_text"))
        return
    if raw["simulated"]:
        notice("warn", words("data.simulated"), words("data.simulated_text"))
    if examples is not None:
        _examples(session, examples)
    _tables(session, raw)
    _report(session, raw)
    _quarantine(session, raw["quarantine"])
    _sources(session, raw)


def _examples(session: Session, examples: Mapping[str, Any]) -> None:
    words, formats, span = session.words, session.formats, examples.get("span") or {}
    said = words("data.examples", rows=formats.number(examples["rows"]))
    if span:
        said += " " + words("data.span", first=formats.day(span["first"]), last=formats.day(span["last"]))
    origins = [
        words(f"data.origin_{name}", rows=formats.number(rows))
        for name, rows in examples.get("origins", {}).items()
        if words.known(f"data.origin_{name}", "")
    ]
    notice("info", said, ", ".join(origins))


def _tables(session: Session, raw: Mapping[str, Any]) -> None:
    words, formats = session.words, session.formats
    rows = []
    for line in raw["tables"]:
        absent = words("data.absent" if line["optional"] else "data.absent_needed")
        rows.append([line["name"], absent if line["rows"] is None else formats.number(line["rows"])])
    table(words("data.tables"), [words("data.table"), words("data.rows")], rows, numbers=(1,))
    st.caption(words("data.made", at=formats.moment(raw["made"]), files=formats.number(len(raw["files"]))))


def _report(session: Session, raw: Mapping[str, Any]) -> None:
    """What people should know of the files: left aside, decided, lost, without counterpart, confirmed."""
    words, lines = session.words, [*raw.get("report", [])]
    for run in raw["last_successes"][:1]:
        aside = (words("data.left_aside", name=name, reason=why) for name, why in run.get("left_aside", {}).items())
        lines += [line for line in aside if line not in lines]
    if lines:
        notice("warn", words("data.report"), words("data.report_text"), lines)


def _quarantine(session: Session, found: Mapping[str, Any]) -> None:
    words, formats = session.words, session.formats
    st.subheader(words("data.quarantine"))
    if not found["rows"]:
        notice("good", words("data.no_quarantine"))
        return
    notice("warn", words("data.quarantined", rows=formats.number(found["rows"])), words("data.quarantined_text"))
    rows = [[line["reason"], line["table"], formats.number(line["rows"])] for line in found["reasons"]]
    table(words("data.quarantine"), [words(f"data.{name}") for name in ("reason", "table", "rows")], rows, numbers=(2,))
    if found["more_reasons"]:
        st.caption(words("data.more_reasons", count=found["more_reasons"]))
    with st.expander(words("data.first_rows")):
        names = ("reason", "file", "line", "row")
        shown = [[line[name] for name in names] for line in found["first"]]
        table(words("data.first_rows"), [words(f"data.{name}") for name in names], shown, numbers=(2,))


def _sources(session: Session, raw: Mapping[str, Any]) -> None:
    words, formats = session.words, session.formats
    st.subheader(words("data.sources"))
    rows = []
    for line in raw["last_successes"]:
        files = line["files"]
        brought = words("data.brought_text", new=files.get("new", 0), known=files.get("known", 0)) if files else "–"
        source = words.known(f"data.word_{line['source']}", line["source"])
        rows.append([source, formats.moment(line["finished"]) + " UTC", brought])
    if rows:
        heads = [words(f"data.{name}") for name in ("source", "last_success", "brought")]
        table(words("data.sources"), heads, rows)
    else:
        st.write(words("data.no_sources"))
    if raw["official"]:
        with st.expander(words("data.official_list")):
            for offer in raw["official"]:
                st.text(offer["title"])
                st.code(offer["url"], language=None, wrap_lines=True)
    with st.expander(words("data.files")):
        shown = [
            [
                line["name"],
                words.known(f"data.word_{line['origin']}", line["origin"]),
                "–" if line["bytes"] is None else formats.bytes(line["bytes"]),
            ]
            for line in raw["files"][-FILES_SHOWN:]
        ]
        heads = [words(f"data.{name}") for name in ("file", "origin", "size")]
        table(words("data.files"), heads, shown, numbers=(2,))
