"""The page Data and retraining: what data there is and where it came from, what was refused and why, and starting and
following what makes new data and new models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.usecases.contract import UseCase
from services.dashboard.client import Service
from services.dashboard.confirm import told
from services.dashboard.pages.data_runs import show_runs
from services.dashboard.pages.data_start import start
from services.dashboard.session import Session
from services.dashboard.states import empty, guarded, loading, notice
from services.dashboard.subject import choose_use_case
from services.dashboard.tables import table

FILES_SHOWN = 20


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_data"))
    use_case = choose_use_case(session, key="data")
    if use_case is None:
        empty(words("asking.no_use_case"), words("asking.no_use_case_text"))
        return
    told()
    left, right = st.columns([3, 2], gap="large")
    with left, guarded(words, key="data"):
        _data(session, use_case)
    with right, guarded(words, key="start"):
        start(session, use_case)
    with guarded(words, key="runs"):
        show_runs(session, use_case)


def _data(session: Session, use_case: UseCase) -> None:
    words = session.words
    st.subheader(words("data.there"))
    path = f"/admin/data/{use_case.name}"
    with loading(words, words("data.loading")):
        found = session.remembered(path, 10, lambda: session.client.get(Service.GATEWAY, path))
    for service in found["silent"]:
        name = words.known(f"data.service_{service}", service)
        notice("warn", words("data.silent", service=name), words("data.silent_text"))
    raw, examples = found["raw"], found["examples"]
    if raw is None:
        if "ingestion" not in found["silent"]:
            empty(words("data.none"), words("data.none_text"))
        return
    if raw["simulated"]:
        notice("warn", words("data.simulated"), words("data.simulated_text"))
    if examples is not None:
        _examples(session, examples)
    _tables(session, raw)
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
