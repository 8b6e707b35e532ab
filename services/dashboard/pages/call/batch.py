"""Batches: validates the calls of a file, predicts with a progress bar, and writes the answers as CSV and Excel without
formulas. Answers stay when a part fails; the next press goes on behind them, and a part that is sent twice counts once.
"""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import Any

import openpyxl
import streamlit as st
from pydantic import BaseModel

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.io import without_formulas
from services.core.messages import render
from services.dashboard import drafts
from services.dashboard.api import predictions
from services.dashboard.api.client import ApiError
from services.dashboard.components.data_display import table
from services.dashboard.components.feedback import notice, show_error
from services.dashboard.components.use_cases import title_of, validate_request
from services.dashboard.pages.call.batch_file import CallFileError
from services.dashboard.pages.call.batch_values import INCIDENT, ParsedCalls, read_calls
from services.dashboard.session import Session
from services.dashboard.settings import settings

_PREVIEW_ROWS = 8
_FAULTS_SHOWN = 50
_LINE = "line"

Fault = tuple[int, str, str]
"""Line, column and what is wrong."""


@dataclass(slots=True)
class Batch:
    """An uploaded file with its answers so far."""

    name: str
    digest: str
    parsed: ParsedCalls
    good: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Calls that can be sent, with their line."""
    faults: list[Fault] = field(default_factory=list)
    language: str = ""
    """Of the texts in ``faults``."""
    answers: list[dict[str, Any]] = field(default_factory=list)
    refused: list[Fault] = field(default_factory=list)
    """Lines that the service rejected."""
    done: int = 0
    """How many of the calls were sent."""
    exercise: bool = False
    """Whether the answers are those of an exercise."""
    error: ApiError | None = None
    """Why the last part was not answered."""
    running: threading.Lock = field(default_factory=threading.Lock)


def csv_template(model: type[BaseModel]) -> bytes:
    """CSV template: the field names and one example."""
    examples = {name: (info.examples or [""])[0] for name, info in model.model_fields.items()}
    return write_csv([list(examples), [value if len(str(value)) < 200 else "" for value in examples.values()]])


def write_csv(table: Iterable[Sequence[Any]]) -> bytes:
    """UTF-8 CSV with byte order mark, by which spreadsheets detect the encoding."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_safe_cell(cell) for cell in line] for line in table)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def write_workbook(table: Iterable[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("answers")
    for line in table:
        sheet.append([_safe_cell(cell) for cell in line])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _safe_cell(cell: Any) -> Any:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return without_formulas(cell) if isinstance(cell, str) else cell


def batch_form(session: Session, use_case: UseCase) -> None:
    words, most = session.words, settings().dashboard_batch_rows
    key, changed = f"batch-{use_case.name}", f"batch-{use_case.name}-changed"
    file = st.file_uploader(
        words("call.file"), type=["csv", "txt", "xlsx"], key=key,
        on_change=lambda: st.session_state.__setitem__(changed, True),
    )  # fmt: skip
    st.caption(words("call.file_help", rows=session.formats.number(most)))
    st.download_button(
        words("call.template"),
        csv_template(use_case.serving.request),
        file_name=f"{use_case.name}.csv",
        mime="text/csv",
        key=f"{key}-template",
    )
    if st.session_state.pop(changed, False):
        drafts.keep_batch(key, None)
        st.session_state.pop(f"{key}-error", None)
        if file is not None:
            try:
                drafts.keep_batch(key, _read(use_case, file.name, file.getvalue()))
            except (CallFileError, VigieError) as error:
                st.session_state[f"{key}-error"] = error
    if (wrong := st.session_state.get(f"{key}-error")) is not None:
        said = render(wrong.message, session.language) if isinstance(wrong, CallFileError) else str(wrong)
        notice("bad", words("call.file_bad"), said)
    batch: Batch | None = drafts.batch(key)
    if batch is None:
        return
    if file is None:
        left, right = st.columns([4, 1.4], vertical_alignment="center")
        left.caption(words("call.file_kept", name=batch.name))
        if right.button(words("call.file_remove"), key=f"{key}-remove", width="stretch"):
            drafts.keep_batch(key, None)
            st.rerun()
    _validate(session, use_case, batch)
    _answer(session, use_case, batch, key)
    _show_faults(session, use_case, batch)


def _read(use_case: UseCase, name: str, content: bytes) -> Batch:
    parsed = read_calls(use_case.serving.request, name, content, settings().dashboard_batch_rows)
    if not (parsed.requests or parsed.faults):
        raise CallFileError("file_empty")
    return Batch(name, sha256(content).hexdigest(), parsed)


def _validate(session: Session, use_case: UseCase, batch: Batch) -> None:
    """Sort the calls into those that can be sent and those with faults; once for each language."""
    words, parsed = session.words, batch.parsed
    if batch.language != session.language:
        batch.language, batch.good = session.language, []
        batch.faults = [(f.line, f.column, render(f.message, session.language)) for f in parsed.faults]
        for line, request in parsed.requests:
            fields = {name: value for name, value in request.items() if name in use_case.serving.request.model_fields}
            result = validate_request(use_case.serving.request, fields, words, session.formats)
            if result.faults:
                batch.faults += [
                    (line, title_of(use_case, name, words) if name else "", fault)
                    for name, fault in result.faults.items()
                ]
            else:
                batch.good.append((line, request))
        batch.faults.sort(key=lambda fault: fault[0])
    if not parsed.known:
        notice("bad", words("call.columns_none"))
        return
    if parsed.unused:
        st.caption(words("call.columns_left", columns=", ".join(parsed.unused[:12])))
    lines = len({line for line, _, _ in batch.faults})
    notice(
        "warn" if lines else "good",
        words("call.rows_good", count=session.formats.number(len(batch.good))),
        words("call.rows_bad", count=session.formats.number(lines)) if lines else "",
    )


def _answer(session: Session, use_case: UseCase, batch: Batch, key: str) -> None:
    """The button that answers, or goes on, and the answers so far."""
    words, formats = session.words, session.formats
    if batch.done and batch.exercise != session.exercise:  # answers of an exercise and of live calls are not mixed
        batch.answers, batch.refused, batch.done, batch.error = [], [], 0, None
    left = len(batch.good) - batch.done
    if left:
        code = "call.run_on" if batch.done else "call.run"
        pressed = st.button(words(code, count=formats.number(left)), type="primary", key=f"{key}-run")
        if pressed and batch.running.acquire(blocking=False):
            try:
                _send(session, use_case, batch)
            finally:
                batch.running.release()
            st.rerun()  # the button says what is left
        elif batch.running.locked():
            notice("info", words("call.file_running"))
        if batch.error is not None:
            show_error(words, batch.error, key="batch")
        if batch.done:
            done, count = formats.number(batch.done), formats.number(len(batch.good))
            notice("warn", words("call.broken_off", done=done, count=count), words("call.broken_off_text"))
    if batch.done:
        _show_result(session, use_case, batch, key)


def _send(session: Session, use_case: UseCase, batch: Batch) -> None:
    """Send what has no answer yet, part by part; what came before a failure stays."""
    words, count = session.words, len(batch.good)
    batch.exercise, batch.error = session.exercise, None
    bar = st.progress(batch.done / count, text=words("call.progress", done=batch.done, count=count))
    try:
        while batch.done < count:
            part = batch.good[batch.done : batch.done + predictions.BATCH_SIZE]
            # The same lines of the same file are the same request, whoever presses again and in which window.
            repeated = [batch.digest, use_case.name, part[0][0], [request for _, request in part]]
            response = predictions.predict_batch(session, use_case.name, [request for _, request in part], repeated)
            _add_answers(batch, part, response)
            bar.progress(batch.done / count, text=words("call.progress", done=batch.done, count=count))
    except ApiError as error:
        batch.error = error


def _add_answers(batch: Batch, part: list[tuple[int, dict[str, Any]]], response: dict[str, Any]) -> None:
    beside = {name: response[name] for name in ("source", "model_version", "simulated")}
    answers, refused = [], []
    for item in response["answers"]:
        line, request = part[item["index"]]
        codes = "; ".join(dict.fromkeys(warning["code"] for warning in item["warnings"]))
        shown = {**request, **predictions.flatten(item["answer"] or {}), **beside, "warnings": codes}
        answers.append({**shown, _LINE: line, INCIDENT: request.get(INCIDENT, "")})
    for error in response["errors"]:
        line = part[error["index"]][0]
        refused += [(line, fault["field"], fault["reason"]) for fault in error["errors"]]
    batch.answers += answers
    batch.refused += refused
    batch.done += len(part)


def _show_result(session: Session, use_case: UseCase, batch: Batch, key: str) -> None:
    words, answers = session.words, batch.answers
    lines = len({line for line, _, _ in batch.refused})
    refused = words("call.refused_rows", count=lines) if lines else ""
    if batch.done == len(batch.good):
        notice("warn" if lines else "good", words("call.done", count=session.formats.number(len(answers))), refused)
    if not answers:
        return
    names = list(dict.fromkeys([_LINE, INCIDENT, *chain.from_iterable(answers)]))
    rows = [names, *([answer.get(name, "") for name in names] for answer in answers)]
    left, right = st.columns(2)
    with left:
        st.download_button(
            words("call.download"), lambda: write_csv(rows), file_name=f"{use_case.name}-answers.csv", mime="text/csv",
            key=f"{key}-csv", type="primary", width="stretch", on_click="ignore",
        )  # fmt: skip
    with right:
        st.download_button(
            words("call.download_excel"), lambda: write_workbook(rows), file_name=f"{use_case.name}-answers.xlsx",
            key=f"{key}-xlsx", width="stretch", on_click="ignore",
        )  # fmt: skip
    st.markdown(f"#### {words('call.preview')}")
    shown = [dict(zip(rows[0], map(_safe_cell, row), strict=True)) for row in rows[1 : 1 + _PREVIEW_ROWS]]
    st.dataframe(shown, hide_index=True)


def _show_faults(session: Session, use_case: UseCase, batch: Batch) -> None:
    words, formats = session.words, session.formats
    refused = [(line, title_of(use_case, name, words) if name else "", why) for line, name, why in batch.refused]
    for title, faults in (("call.rows_bad", batch.faults), ("call.refused_rows", refused)):
        if faults:
            table(
                words(title, count=len({line for line, _, _ in faults})),
                [words("call.line"), words("call.column"), words("call.fault")],
                [[formats.number(line), column or "–", fault] for line, column, fault in faults[:_FAULTS_SHOWN]],
            )
