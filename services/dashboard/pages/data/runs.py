"""Runs and jobs with automatic refresh: status, progress, log tail, cancel and retry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

import streamlit as st

from services.core.contract.use_case import UseCase
from services.core.steps import JOBS
from services.dashboard.api.client import ApiError, Service
from services.dashboard.components.data_display import Html, table
from services.dashboard.components.feedback import ConfirmedAction, Tone, badge, confirm_button, error_boundary, notice
from services.dashboard.session import Session

EVERY_SECONDS = 3
RUNS_SHOWN, JOBS_SHOWN = 8, 12
ACTIVE_KEY = "data-live"
"""Session state key: whether something is running, which makes the section refresh."""
ACTIVE_STATES = frozenset({"queued", "running"})
TONES: dict[str, Tone] = {
    "queued": "info",
    "running": "info",
    "awaiting_approval": "warn",
    "succeeded": "good",
    "failed": "bad",
    "rejected": "warn",
    "cancelled": "warn",
    "interrupted": "warn",
}


def show_runs(session: Session, use_case: UseCase) -> None:
    """Show runs and jobs; refreshed every few seconds while something is running."""
    live = st.session_state.get(ACTIVE_KEY, False)
    st.fragment(_refreshed, run_every=EVERY_SECONDS if live else None)(session, use_case, live)


def _refreshed(session: Session, use_case: UseCase, was_live: bool) -> None:
    words = session.words
    with error_boundary(words, key="followed"):
        runs, silent = _runs(session, use_case)
        jobs = session.client.get(Service.GATEWAY, "/admin/jobs", use_case=use_case.name, limit=JOBS_SHOWN)
        for service in {**silent, **jobs["silent"]}:
            name = words.known(f"data.service_{service}", service)
            notice("warn", words("data.silent", service=name), words("data.silent_text"))
        _runs_table(session, runs)
        _steps(session, runs)
        _jobs(session, jobs["jobs"])
        live = any(item["state"] in ACTIVE_STATES for item in [*runs, *jobs["jobs"]])
        if live:
            st.caption(words("data.updated", seconds=EVERY_SECONDS))
        st.session_state[ACTIVE_KEY] = live
        if live != was_live:
            # A finished run changed the data above; a new one is followed from now on.
            session.forget(f"/admin/data/{use_case.name}")
            st.rerun()


# --- runs -------------------------------------------------------------------------------------------


def _runs(session: Session, use_case: UseCase) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Retrainings and ingestions, newest first, and the backends that did not answer."""
    found: list[dict[str, Any]] = []
    silent: dict[str, str] = {}
    for path in ("/admin/retrainings", "/admin/ingestions"):
        answer = session.client.get(Service.GATEWAY, path, use_case=use_case.name, limit=RUNS_SHOWN)
        found += answer["runs"]
        silent |= answer["silent"]
    return sorted(found, key=lambda run: str(run["created"]), reverse=True)[:RUNS_SHOWN], silent


def _runs_table(session: Session, runs: list[dict[str, Any]]) -> None:
    words, formats = session.words, session.formats
    st.subheader(words("data.runs"))
    if not runs:
        st.write(words("data.no_runs"))
        return
    airflow = _airflow(session) if any(run["backend"] == "airflow" for run in runs) else None
    names = ["kind", "state", "by", "at", "took"] + (["in_airflow"] if airflow else [])
    rows = []
    for run in runs:
        line = [
            words(f"data.{run['kind']}"),
            Html(state_badge(session, run["state"])),
            run["requested_by"],
            formats.moment(run["created"], "UTC"),
            formats.duration(_duration_seconds(run["created"], run["finished"])),
        ]
        if airflow:
            line.append(_airflow_link(session, airflow, run))
        rows.append(line)
    table(words("data.runs"), [words(f"data.{name}") for name in names], rows)
    for run in runs[:1]:
        if run["error"]:
            _show_job_error(session, run["error"])


def _airflow(session: Session) -> str | None:
    """Airflow's address for browsers; None if unknown."""
    try:
        parts = session.remembered("platform", 60, lambda: session.client.get(Service.GATEWAY, "/admin/platform"))
    except ApiError:
        return None
    return next((part["address"] for part in parts["parts"] if part["name"] == "airflow"), None)


def _airflow_link(session: Session, airflow: str, run: Mapping[str, Any]) -> Html:
    if not run["dag_id"]:
        return Html("–")
    address = f"{airflow}dags/{quote(run['dag_id'])}/runs/{quote(str(run['dag_run_id']), safe='')}"
    said = escape(session.words("data.open"))
    return Html(f"<a href='{escape(address, quote=True)}' target='_blank' rel='noopener'>{said}</a>")


def _steps(session: Session, runs: list[dict[str, Any]]) -> None:
    """Step diagram of the newest run that has steps."""
    run = next((run for run in runs if run["steps"]), None)
    if run is None:
        return
    words = session.words
    st.subheader(words("data.steps"))
    items = "".join(
        f"<li class='v-step {escape(step['state'])}'><strong>{escape(words.of(JOBS[step['step']].title))}</strong>"
        f"{state_badge(session, step['state'])}</li>"
        for step in run["steps"]
        if step["step"] in JOBS
    )
    st.html(f"<ol class='v-steps'>{items}</ol>")


# --- jobs -------------------------------------------------------------------------------------------


def _jobs(session: Session, jobs: list[dict[str, Any]]) -> None:
    words, formats = session.words, session.formats
    st.subheader(words("data.jobs"))
    if not jobs:
        st.write(words("data.no_jobs"))
        return
    by_id = {job["id"]: job for job in jobs}
    running = next((job["id"] for job in jobs if job["state"] == "running"), jobs[0]["id"])

    def said(job_id: str) -> str:
        job = by_id[job_id]
        state = words.known(f"data.state_{job['state']}", job["state"])
        at = formats.moment(job["created_at"], "UTC")
        return words("data.job_line", step=step_title(session, job["step"]), at=at, state=state)

    chosen = st.selectbox(
        words("data.job"), list(by_id), index=list(by_id).index(running), format_func=said, key=f"data-job-{running}"
    )
    _job(session, by_id[chosen])


def _job(session: Session, job: Mapping[str, Any]) -> None:
    words, formats = session.words, session.formats
    took = formats.duration(_duration_seconds(job["started_at"], job["finished_at"])) if job["started_at"] else "–"
    line = [
        step_title(session, job["step"]),
        Html(state_badge(session, job["state"])),
        job["requested_by"],
        took,
        formats.number(job["attempts"]),
    ]
    names = ("step", "state", "by", "took", "attempts")
    table(words("data.job"), [words(f"data.{name}") for name in names], [line], numbers=(4,))
    if job["error"]:
        _show_job_error(session, job["error"])
    left, right = st.columns(2)
    with left:
        st.markdown(f"**{words('data.progress')}**")
        said = "\n".join(job["progress"][-15:])
        st.code(said or words("data.no_log"), language=None, wrap_lines=True)
    with right:
        st.markdown(f"**{words('data.log')}**")
        log = "\n".join(job["log_tail"].splitlines()[-15:])
        st.code(log or words("data.no_log"), language=None, wrap_lines=True)
    _job_actions(session, job)


def _job_actions(session: Session, job: Mapping[str, Any]) -> None:
    """Actions that the job's state allows: cancel or retry."""
    words = session.words
    word = "cancel" if job["state"] in ACTIVE_STATES else "retry"
    if word == "retry" and job["state"] not in {"failed", "cancelled", "interrupted"}:
        return

    def do(_: str, __: str) -> str:
        session.client.post(Service.GATEWAY, f"/admin/jobs/{job['id']}/{word}")
        st.session_state[ACTIVE_KEY] = True
        return words("data.cancelled" if word == "cancel" else "data.retried")

    confirm_button(
        session,
        ConfirmedAction(
            key=f"{word}-{job['id']}",
            button=words(f"data.{word}"),
            title=words(f"data.{word}_title", step=step_title(session, job["step"])),
            consequence=words(f"data.{word}_text"),
            do=do,
            icon=":material/stop:" if word == "cancel" else ":material/replay:",
        ),
    )


def step_title(session: Session, step: str) -> str:
    return session.words.of(JOBS[step].title) if step in JOBS else step


def state_badge(session: Session, state: str) -> str:
    word = session.words.known(f"data.state_{state}", state)
    return badge(TONES[state], word) if state in TONES else f"<span class='v-quiet'>{escape(word)}</span>"


def _show_job_error(session: Session, error: Mapping[str, Any]) -> None:
    words = session.words
    points = [
        words(f"data.{key}", text=error[name])
        for name, key in (("expected", "expected"), ("action", "to_do"))
        if error.get(name)
    ]
    notice("bad", words("data.failed_because", problem=error.get("problem", "")), "", points)


def _duration_seconds(begun: str, ended: str | None) -> float:
    end = datetime.fromisoformat(ended) if ended else datetime.now(UTC)
    start = datetime.fromisoformat(begun)
    return (end.replace(tzinfo=end.tzinfo or UTC) - start.replace(tzinfo=start.tzinfo or UTC)).total_seconds()
