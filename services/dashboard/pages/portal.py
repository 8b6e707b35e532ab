"""The page Portal: state of every part of the platform with links, and the simulator's scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

import streamlit as st

from services.core import use_case_registry
from services.core.auth.principal import Role
from services.dashboard import drafts
from services.dashboard.api.client import ResourceNotFoundError, Service, ServiceUnavailableError
from services.dashboard.components.data_display import Html, table
from services.dashboard.components.feedback import (
    ConfirmedAction,
    Tone,
    badge,
    confirm_button,
    empty_state,
    error_boundary,
    last_result,
    notice,
)
from services.dashboard.session import Session

SIMULATIONS_PATH = "/admin/simulations"
SIMULATION_REFRESH_SECONDS = 2
SHOWN_SIMULATIONS = 6
ACTIVE_STATES = frozenset({"preparing", "running", "ending"})
HEAVY_RATE = 50.0
"""Call rate above which a warning says that other callers may be delayed, calls per second."""
_RUN_TONES: dict[str, Tone] = {"finished": "good", "failed": "bad", "stopped": "warn"}


def show_simulator(session: Session) -> None:
    words = session.words
    try:
        found = session.client.get(Service.GATEWAY, SIMULATIONS_PATH)
    except (ServiceUnavailableError, ResourceNotFoundError):
        empty_state(words("portal.no_simulator"))
        return
    st.write(words("portal.simulator_text"))
    live = any(item["state"] in ACTIVE_STATES for item in found["simulations"])
    if not live:
        _start(session, found["scenarios"])
    st.fragment(_simulations, run_every=SIMULATION_REFRESH_SECONDS if live else None)(session, live)


def _start(session: Session, scenarios: Mapping[str, str]) -> None:
    words = session.words
    with st.container(border=True):
        left, middle, right = st.columns([2, 1, 1])
        scenario = left.selectbox(
            words("portal.scenario"),
            list(scenarios),
            format_func=lambda name: words.known(f"portal.scenario_{name}", scenarios[name]),
            key=drafts.kept("simulator-scenario", scenarios),
        )
        rate = middle.number_input(words("portal.rate"), 0.0, 10_000.0, 0.0, key=drafts.kept("simulator-rate"))
        seconds = right.number_input(words("portal.seconds"), 0, 86_400, 0, key=drafts.kept("simulator-seconds"))
        titles = {item.name: words.of(item.presentation.title) for item in use_case_registry.list_use_cases()}
        only = st.multiselect(
            words("portal.only"), list(titles), format_func=titles.__getitem__,
            key=drafts.kept("simulator-use-cases", titles),
        )  # fmt: skip
        body: dict[str, Any] = {"scenario": scenario, "use_cases": only}
        body |= {"rate": rate} if rate else {}
        body |= {"seconds": seconds} if seconds else {}
        named = words.known(f"portal.scenario_{scenario}", str(scenario))

        def do(_: str, __: str) -> str:
            session.client.post(Service.GATEWAY, SIMULATIONS_PATH, body)
            return words("portal.started")

        confirm_button(
            session,
            ConfirmedAction(
                key="simulate",
                button=words("portal.start"),
                title=words("portal.start_title", scenario=named),
                consequence=words("portal.start_text"),
                points=[words("portal.start_heavy")] if rate > HEAVY_RATE or scenario == "rush" else [],
                do=do,
                tone="info",
                icon=":material/play_arrow:",
            ),
        )


def _simulations(session: Session, was_live: bool) -> None:
    words = session.words
    with error_boundary(words, key="simulations"):
        simulations = session.client.get(Service.GATEWAY, SIMULATIONS_PATH)["simulations"][:SHOWN_SIMULATIONS]
        st.markdown(f"**{words('portal.played')}**")
        if not simulations:
            st.write(words("portal.none_played"))
            return
        names = ("scenario", "run_state", "begun", "by", "calls", "rate_now", "p50", "p99", "failures")
        rows = [_row(session, item) for item in simulations]
        table(words("portal.played"), [words(f"portal.{name}") for name in names], rows, numbers=(4, 5, 6, 7, 8))
        running = next((item for item in simulations if item["state"] in ACTIVE_STATES), None)
        if running is not None:
            _stop(session, running)
        elif was_live:
            st.rerun()


def _row(session: Session, item: Mapping[str, Any]) -> list[str]:
    words, formats = session.words, session.formats
    state = item["state"]
    latency = item["latency_ms"]

    def milliseconds(name: str) -> str:
        value = latency.get(name)
        return "–" if value is None else formats.quantity(value, "ms", 0)

    return [
        words.known(f"portal.scenario_{item['scenario']}", item["title"]),
        Html(badge(_RUN_TONES.get(state, "info"), words.known(f"portal.run_{state}", state))),
        formats.moment(item["started_at"], "UTC"),
        item["asked_by"],
        f"{formats.number(item['calls']['answered'])} / {formats.number(item['calls']['sent'])}",
        formats.number(item["rate_now"], 1),
        milliseconds("p50"),
        milliseconds("p99"),
        formats.number(item["calls"]["failed"]),
    ]


def _stop(session: Session, item: Mapping[str, Any]) -> None:
    words = session.words

    def do(_: str, __: str) -> str:
        session.client.delete(Service.GATEWAY, f"{SIMULATIONS_PATH}/{item['id']}")
        return words("portal.stopped")

    named = words.known(f"portal.scenario_{item['scenario']}", item["title"])
    confirm_button(
        session,
        ConfirmedAction(
            key=f"stop-{item['id']}",
            button=words("portal.stop"),
            title=words("portal.stop_title", scenario=named),
            consequence=words("portal.stop_text"),
            do=do,
            icon=":material/stop:",
        ),
    )


REFRESH_SECONDS = 15
TONES: dict[str, Tone] = {"up": "good", "degraded": "warn", "down": "bad", "absent": "info"}


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_portal"))
    last_result()
    st.fragment(_parts, run_every=REFRESH_SECONDS)(session)
    if session.has_role(Role.OPERATOR):
        st.subheader(words("portal.simulator"))
        with error_boundary(words, key="simulator"):
            show_simulator(session)


def _parts(session: Session) -> None:
    words = session.words
    with error_boundary(words, key="parts"):
        parts: list[dict[str, Any]] = session.client.get(Service.GATEWAY, "/admin/platform")["parts"]
        unwell = [
            _title(session, part).split(":")[0].strip() for part in parts if part["state"] in {"down", "degraded"}
        ]
        if unwell:
            notice("warn", words("portal.not_well", parts=", ".join(unwell)), words("portal.calls_first"))
        else:
            notice("good", words("portal.all_well"))
        for heading, chosen in (
            ("portal.pages", [part for part in parts if part["address"]]),
            ("portal.services", [part for part in parts if not part["address"]]),
        ):
            if chosen:
                st.subheader(words(heading))
                st.html(f"<div class='v-row'>{''.join(_card(session, part) for part in chosen)}</div>")
        at = session.formats.clock(datetime.now(UTC))
        st.caption(words("portal.looked", at=at, seconds=REFRESH_SECONDS))


def _card(session: Session, part: Mapping[str, Any]) -> str:
    words, state = session.words, part["state"]
    said = []
    if part["milliseconds"] is not None:
        said.append(words("portal.in_ms", ms=session.formats.number(part["milliseconds"])))
    if part["reason"]:
        said.append(words.known(f"portal.reason_{state}", "{reason}").format(reason=part["reason"]))
    link = ""
    if part["address"]:
        name = words.known(f"portal.part_{part['name']}_page", part["name"].capitalize())
        address = escape(part["address"], quote=True)
        said_link = escape(words("portal.open", name=name))
        link = f"<p><a href='{address}' target='_blank' rel='noopener'>{said_link}</a></p>"
    return (
        f"<section class='v-card'><h3>{escape(_title(session, part))}</h3>"
        f"{badge(TONES[state], words(f'portal.state_{state}'))} <span class='v-quiet'>{escape(', '.join(said))}</span>"
        f"{link}</section>"
    )


def _title(session: Session, part: Mapping[str, Any]) -> str:
    return session.words.known(f"portal.part_{part['name']}", part["name"])
