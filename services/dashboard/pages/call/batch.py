"""Batches: reads calls from CSV and Excel files, validates each row, predicts with a progress bar, and writes the
answers as CSV and Excel without formulas.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import openpyxl
import streamlit as st
from pydantic import BaseModel

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.raw_files.workbooks import WorkbookBudget, read_first_sheet
from services.dashboard.api import predictions
from services.dashboard.api.client import ApiError
from services.dashboard.components.data_display import table
from services.dashboard.components.feedback import notice, show_error
from services.dashboard.components.use_cases import fields_of, title_of, validate_request
from services.dashboard.session import Session
from services.dashboard.settings import settings

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_ENCODINGS = ("utf-8-sig", "cp1252")
_TRUE, _FALSE = {"true", "yes", "oui", "vrai", "1"}, {"false", "no", "non", "faux", "0"}
INCIDENT = "incident_id"
_BUDGET = WorkbookBudget(cells=4_000_000, memory_mb=1_536, seconds=60)


def read_rows(name: str, content: bytes) -> list[dict[str, Any]]:
    """Rows of a file by the column names in its first line. Empty lines are skipped.

    Raises:
        VigieError: not a CSV or Excel file.
    """
    table = (
        read_first_sheet(content, name, _BUDGET) if name.lower().endswith((".xlsx", ".xlsm")) else _read_csv(content)
    )
    lines = iter(table)
    head = [str(cell or "").strip() for cell in next(lines, [])]
    found = []
    for line in lines:
        row = {title: cell for title, cell in zip(head, line, strict=False) if title and cell not in (None, "")}
        if row:
            found.append(row)
    return found


def to_requests(
    model: type[BaseModel], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """The rows as requests, the recognised columns, and the unknown ones. A column has the name of the field or its
    title in either language."""
    known = fields_of(model)
    names = {INCIDENT: INCIDENT}
    for field in known.values():
        for title in (field.name, field.title.en, field.title.fr):
            names.setdefault(_normalise_title(title), field.name)
    columns = list(dict.fromkeys(title for row in rows for title in row))
    of = {column: names.get(_normalise_title(column)) for column in columns}
    found = [
        {name: _parse_cell(known[name].kind if name in known else "text", value) for column, value in row.items()
         if (name := of[column]) is not None}
        for row in rows
    ]  # fmt: skip
    return found, [name for name in of.values() if name], [column for column, name in of.items() if name is None]


def csv_template(model: type[BaseModel]) -> bytes:
    """CSV template: the field names and one example."""
    examples = {name: (info.examples or [""])[0] for name, info in model.model_fields.items()}
    return write_csv([list(examples), [value if len(str(value)) < 200 else "" for value in examples.values()]])


def write_csv(table: Iterable[Sequence[Any]]) -> bytes:
    """UTF-8 CSV with byte order mark, by which spreadsheets detect the encoding."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([escape_formula(cell) for cell in line] for line in table)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def write_workbook(table: Iterable[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("answers")
    for line in table:
        sheet.append([escape_formula(cell) for cell in line])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def escape_formula(cell: Any) -> Any:
    """Escape a text that a spreadsheet would interpret as a formula."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "'" + cell if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _read_csv(content: bytes) -> Iterable[list[Any]]:
    for encoding in _ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        head = text[:4_096].partition("\n")[0]
        separator = max(";,\t", key=head.count)
        return csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    raise VigieError("This is no text.", expected="a CSV file in UTF-8, or an Excel file (.xlsx)")


def _parse_cell(kind: str, value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of cell
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if kind == "date" else value.isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if kind in {"text", "category"}:
        return f"{value:g}" if isinstance(value, float) else str(value)
    if kind == "flag" and isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else value
    if kind == "number" and isinstance(value, str):
        text = value.strip().replace("\u202f", "").replace("\u00a0", "").replace(" ", "")
        if text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        try:
            number = float(text)
        except ValueError:
            return value
        return int(number) if number.is_integer() else number
    return value


def _normalise_title(title: str) -> str:
    return " ".join(title.lower().replace("_", " ").split())


_PREVIEW_ROWS = 8


def batch_form(session: Session, use_case: UseCase) -> None:
    words, most = session.words, settings().dashboard_batch_rows
    key = f"batch-{use_case.name}"
    file = st.file_uploader(words("call.file"), type=["csv", "txt", "xlsx"], key=key)
    st.caption(words("call.file_help", rows=session.formats.number(most)))
    st.download_button(
        words("call.template"),
        csv_template(use_case.serving.request),
        file_name=f"{use_case.name}.csv",
        mime="text/csv",
        key=f"{key}-template",
    )
    if file is None:
        st.session_state.pop(f"{key}-result", None)
        return
    try:
        rows = read_rows(file.name, file.getvalue())
    except VigieError as error:
        notice("bad", words("call.file_bad"), str(error))
        return
    if not rows:
        notice("warn", words("call.file_empty"))
        return
    if len(rows) > most:
        notice("bad", words("call.file_long", rows=session.formats.number(most)))
        return
    good, bad = _validate_rows(session, use_case, rows)
    if good and st.button(words("call.run", count=session.formats.number(len(good))), type="primary", key=f"{key}-run"):
        result = _predict_rows(session, use_case, good)
        if result is not None:
            st.session_state[f"{key}-result"] = (file.file_id, result)
    kept = st.session_state.get(f"{key}-result")
    if kept is not None and kept[0] == file.file_id:
        _show_result(session, use_case, kept[1], key)
    if bad:
        _rejected_rows(session, use_case, bad)


def _validate_rows(
    session: Session, use_case: UseCase, rows: list[dict[str, Any]]
) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, str, str]]]:
    """Valid rows with line numbers, and (line, field, error) of the others; line 1 has the column names."""
    words = session.words
    requests, found, left = to_requests(use_case.serving.request, rows)
    if not found:
        notice("bad", words("call.columns_none"))
        return [], []
    if left:
        st.caption(words("call.columns_left", columns=", ".join(left[:12])))
    good, bad = [], []
    for number, request in enumerate(requests, start=2):
        fields = {name: value for name, value in request.items() if name != INCIDENT}
        result = validate_request(use_case.serving.request, fields, words, session.formats)
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


def _rejected_rows(session: Session, use_case: UseCase, bad: list[tuple[int, str, str]]) -> None:
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


def _predict_rows(session: Session, use_case: UseCase, good: list[tuple[int, dict[str, Any]]]) -> dict[str, Any] | None:
    """Predict; returns answers with line numbers, and the lines that the service rejected."""
    words = session.words
    requests = [request for _, request in good]
    answers: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    bar = st.progress(0.0, text=words("call.progress", done=0, count=len(good)))
    try:
        for start, part in predictions.predict_batches(session, use_case.name, requests):
            beside = {name: part[name] for name in ("source", "model_version", "simulated")}
            for item in part["answers"]:
                line, request = good[start + item["index"]]
                codes = "; ".join(dict.fromkeys(warning["code"] for warning in item["warnings"]))
                answers.append(
                    {"line": line, **request, **predictions.flatten(item["answer"]), **beside, "warnings": codes}
                )
            errors += [{**error, "line": good[start + error["index"]][0]} for error in part["errors"]]
            done = min(start + predictions.BATCH_SIZE, len(good))
            bar.progress(done / len(good), text=words("call.progress", done=done, count=len(good)))
    except ApiError as error:
        show_error(words, error, key="batch")
        return None
    return {"answers": answers, "errors": errors}


def _show_result(session: Session, use_case: UseCase, result: dict[str, Any], key: str) -> None:
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
            words("call.download"), write_csv(lines), file_name=f"{use_case.name}-answers.csv", mime="text/csv",
            key=f"{key}-csv", type="primary", width="stretch",
        )  # fmt: skip
    with right:
        st.download_button(
            words("call.download_excel"), write_workbook(lines), file_name=f"{use_case.name}-answers.xlsx",
            key=f"{key}-xlsx", width="stretch",
        )  # fmt: skip
    st.markdown(f"#### {words('call.preview')}")
    st.dataframe(
        [{name: escape_formula(answer.get(name)) for name in names} for answer in answers[:_PREVIEW_ROWS]],
        hide_index=True,
    )
