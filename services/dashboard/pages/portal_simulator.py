"""Starting, following and stopping the simulator's scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.usecases import registry
from services.dashboard.client import AwayError, NotThereError, Service
from services.dashboard.confirm import Action, offer
from services.dashboard.session import Session
from services.dashboard.states import Tone, empty, guarded, tag
from services.dashboard.tables import Html, table

PATH = "/admin/simulations"
EVERY_SECONDS = 2
SHOWN = 6
LIVE = frozenset({"preparing", "running", "ending"})
HEAVY = 50.0
"""Calls per second from which on it is said that others may wait."""
_TONES: dict[str, Tone] = {"finished": "good", "failed": "bad", "stopped": "warn"}


def show_simulator(session: Session) -> None:
    words = session.words
    try:
        found = session.client.get(Service.GATEWAY, PATH)
    except (AwayError, NotThereError):
        empty(words("portal.no_simulator"))
        return
    st.write(words("portal.simulator_text"))
    live = any(item["state"] in LIVE for item in found["simulations"])
    if not live:
        _start(session, found["scenarios"])
    st.fragment(_followed, run_every=EVERY_SECONDS if live else None)(session, live)


def _start(session: Session, scenarios: Mapping[str, str]) -> None:
    words = session.words
    with st.container(border=True):
        left, middle, right = st.columns([2, 1, 1])
        scenario = left.selectbox(
            words("portal.scenario"),
            list(scenarios),
            format_func=lambda name: words.known(f"portal.scenario_{name}", scenarios[name]),
            key="simulator-scenario",
        )
        rate = middle.number_input(words("portal.rate"), 0.0, 10_000.0, 0.0, key="simulator-rate")
        seconds = right.number_input(words("portal.seconds"), 0, 86_400, 0, key="simulator-seconds")
        titles = {item.name: words.of(item.title) for item in registry.every()}
        only = st.multiselect(
            words("portal.only"), list(titles), format_func=titles.__getitem__, key="simulator-use-cases"
        )
        body: dict[str, Any] = {"scenario": scenario, "use_cases": only}
        body |= {"rate": rate} if rate else {}
        body |= {"seconds": seconds} if seconds else {}
        named = words.known(f"portal.scenario_{scenario}", str(scenario))

        def do(_: str, __: str) -> str:
            session.client.post(Service.GATEWAY, PATH, body)
            return words("portal.started")

        offer(
            session,
            Action(
                key="simulate",
                button=words("portal.start"),
                title=words("portal.start_title", scenario=named),
                consequence=words("portal.start_text"),
                points=[words("portal.start_heavy")] if rate > HEAVY or scenario == "rush" else [],
                do=do,
                tone="info",
                icon=":material/play_arrow:",
            ),
        )


def _followed(session: Session, was_live: bool) -> None:
    words = session.words
    with guarded(words, key="simulations"):
        simulations = session.client.get(Service.GATEWAY, PATH)["simulations"][:SHOWN]
        st.markdown(f"**{words('portal.played')}**")
        if not simulations:
            st.write(words("portal.none_played"))
            return
        names = ("scenario", "run_state", "begun", "by", "calls", "rate_now", "p50", "p99", "failures")
        rows = [_row(session, item) for item in simulations]
        table(words("portal.played"), [words(f"portal.{name}") for name in names], rows, numbers=(4, 5, 6, 7, 8))
        running = next((item for item in simulations if item["state"] in LIVE), None)
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
        Html(tag(_TONES.get(state, "info"), words.known(f"portal.run_{state}", state))),
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
        session.client.delete(Service.GATEWAY, f"{PATH}/{item['id']}")
        return words("portal.stopped")

    named = words.known(f"portal.scenario_{item['scenario']}", item["title"])
    offer(
        session,
        Action(
            key=f"stop-{item['id']}",
            button=words("portal.stop"),
            title=words("portal.stop_title", scenario=named),
            consequence=words("portal.stop_text"),
            do=do,
            icon=":material/stop:",
        ),
    )
