"""Many calls from a file: what is wrong with which line before anything is sent, progress, and the answers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.core.errors import VigieError
from services.core.usecases.contract import UseCase
from services.dashboard import asking, sheets
from services.dashboard.client import Trouble
from services.dashboard.fields import checked, title_of
from services.dashboard.session import Session
from services.dashboard.settings import settings
from services.dashboard.states import notice, trouble
from services.dashboard.tables import table

_PREVIEW = 8


def draw(session: Session, use_case: UseCase) -> None:
    words, most = session.words, settings().dashboard_batch_rows
    key = f"batch-{use_case.name}"
    file = st.file_uploader(words("call.file"), type=["csv", "txt", "xlsx"], key=key)
    st.caption(words("call.file_help", rows=session.formats.number(most)))
    st.download_button(
        words("call.template"),
        sheets.template(use_case.request),
        file_name=f"{use_case.name}.csv",
        mime="text/csv",
        key=f"{key}-template",
    )
    if file is None:
        st.session_state.pop(f"{key}-result", None)
        return
    try:
        rows = sheets.rows_of(file.name, file.getvalue())
    except VigieError as error:
        notice("bad", words("call.file_bad"), str(error))
        return
    if not rows:
        notice("warn", words("call.file_empty"))
        return
    if len(rows) > most:
        notice("bad", words("call.file_long", rows=session.formats.number(most)))
        return
    good, bad = _sorted(session, use_case, rows)
    if good and st.button(words("call.run", count=session.formats.number(len(good))), type="primary", key=f"{key}-run"):
        result = _run(session, use_case, good)
        if result is not None:
            st.session_state[f"{key}-result"] = (file.file_id, result)
    kept = st.session_state.get(f"{key}-result")
    if kept is not None and kept[0] == file.file_id:
        _result(session, use_case, kept[1], key)
    if bad:
        _faulty(session, use_case, bad)


def _sorted(
    session: Session, use_case: UseCase, rows: list[dict[str, Any]]
) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, str, str]]]:
    """Lines that can be sent, and (line, field, what is wrong) of the others; the first line has the names."""
    words = session.words
    requests, found, left = sheets.payloads(use_case.request, rows)
    if not found:
        notice("bad", words("call.columns_none"))
        return [], []
    if left:
        st.caption(words("call.columns_left", columns=", ".join(left[:12])))
    good, bad = [], []
    for number, request in enumerate(requests, start=2):
        fields = {name: value for name, value in request.items() if name != sheets.INCIDENT}
        result = checked(use_case.request, fields, words, session.formats)
        if result.faults:
            bad += [(number, name, fault) for name, fault in result.faults.items()]
        else:
            good.append((number, request))
    lines = len({number for number, _, _ in bad})
    notice(
        "good" if not bad else "warn",
        words("call.rows_good", count=session.formats.number(len(good))),
        words("call.rows_bad", count=session.formats.number(lines)) if bad else "",
    )
    return good, bad


def _faulty(session: Session, use_case: UseCase, bad: list[tuple[int, str, str]]) -> None:
    words = session.words
    lines = [
        [session.formats.number(number), title_of(use_case, name, words) if name else "–", fault]
        for number, name, fault in bad[:50]
    ]
    table(
        words("call.rows_bad", count=len({number for number, _, _ in bad})),
        [words("call.line"), words("call.field"), words("call.fault")],
        lines,
    )


def _run(session: Session, use_case: UseCase, good: list[tuple[int, dict[str, Any]]]) -> dict[str, Any] | None:
    """Answers with their lines, and lines that the service refused."""
    words = session.words
    requests = [request for _, request in good]
    answers: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    bar = st.progress(0.0, text=words("call.progress", done=0, count=len(good)))
    try:
        for start, part in asking.batches(session, use_case.name, requests):
            beside = {name: part[name] for name in ("source", "model_version", "simulated")}
            for item in part["answers"]:
                line, request = good[start + item["index"]]
                codes = "; ".join(dict.fromkeys(warning["code"] for warning in item["warnings"]))
                answers.append({"line": line, **request, **sheets.flat(item["answer"]), **beside, "warnings": codes})
            errors += [{**error, "line": good[start + error["index"]][0]} for error in part["errors"]]
            done = min(start + asking.BATCH, len(good))
            bar.progress(done / len(good), text=words("call.progress", done=done, count=len(good)))
    except Trouble as error:
        trouble(words, error, key="batch")
        return None
    return {"answers": answers, "errors": errors}


def _result(session: Session, use_case: UseCase, result: dict[str, Any], key: str) -> None:
    words, answers, errors = session.words, result["answers"], result["errors"]
    refused = words("call.refused_rows", count=len(errors)) if errors else ""
    notice("good" if not errors else "warn", words("call.done", count=session.formats.number(len(answers))), refused)
    if not answers:
        return
    names = list(dict.fromkeys(name for answer in answers for name in answer))
    lines = [names, *([answer.get(name, "") for name in names] for answer in answers)]
    left, right = st.columns(2)
    with left:
        st.download_button(
            words("call.download"), sheets.written(lines), file_name=f"{use_case.name}-answers.csv", mime="text/csv",
            key=f"{key}-csv", type="primary", width="stretch",
        )  # fmt: skip
    with right:
        st.download_button(
            words("call.download_excel"), sheets.workbook(lines), file_name=f"{use_case.name}-answers.xlsx",
            key=f"{key}-xlsx", width="stretch",
        )  # fmt: skip
    st.markdown(f"#### {words('call.preview')}")
    st.dataframe(
        [{name: sheets.safe(answer.get(name)) for name in names} for answer in answers[:_PREVIEW]], hide_index=True
    )
