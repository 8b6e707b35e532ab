"""What an ingestion would understand of a folder's files, before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import streamlit as st

from services.core.contract.use_case import UseCase
from services.dashboard.api.client import Service
from services.dashboard.components.data_display import table
from services.dashboard.components.feedback import error_boundary, loading_spinner, notice
from services.dashboard.session import Session

FOLDER = "folder"
PATIENT = httpx.Timeout(130.0, connect=5.0)
"""Reading a year of files takes seconds, and some archives a minute."""


def check_button(session: Session, use_case: UseCase, source: str) -> None:
    """A button that checks the chosen folder, or that of dropped files, and shows what would be understood."""
    words = session.words
    folder = "" if source in {"auto", "official", "simulator"} else source
    if not st.button(words("data.check"), key="data-check", help=words("data.check_help"), icon=":material/search:"):
        return
    path = f"/admin/data/{use_case.name}/preview"
    with error_boundary(words, key="check"), loading_spinner(words, words("data.checking")):
        answer = session.client.ask(
            "GET", Service.GATEWAY, path, parameters={"folder": folder or None}, timeout=PATIENT
        ).json()
        show_check(session, answer)


def show_check(session: Session, answer: Mapping[str, Any]) -> None:
    """Files with their tables, findings and first rows, what would be left aside, and why it would be refused."""
    words, formats = session.words, session.formats
    for refusal in answer["refusals"]:
        notice("bad", words("data.would_refuse"), refusal["problem"], [refusal["expected"], refusal["action"]])
    if not answer["refusals"]:
        notice("good", words("data.would_take"))
    if answer["notes"]:
        notice("warn", words("data.report"), "", answer["notes"])
    for file in answer["files"]:
        counts = {name: formats.number(file[name]) for name in ("rows", "quarantined")}
        st.markdown("**" + words("data.understood", table=file["table"], **counts) + "**")
        st.text(file["file"])
        for line in file["findings"]:
            st.text(line)
        if file["sample"]:
            names = list(file["sample"][0])
            heads = [words("data.column"), *(str(number + 1) for number in range(len(file["sample"])))]
            rows = [[name, *(row[name] for row in file["sample"])] for name in names]
            table(words("data.as_read"), heads, rows)
    if answer["left_aside"]:
        rows = [[name, why] for name, why in answer["left_aside"].items()]
        table(words("data.aside"), [words("data.file"), words("data.reason")], rows)
