"""Earlier results: the share of drifted columns and the live error as charts, and the verdicts in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from services.core.usecases.contract import UseCase
from services.dashboard.charts import colours, show
from services.dashboard.client import Service
from services.dashboard.pages.models_words import metric_title, target_title
from services.dashboard.session import Session
from services.dashboard.states import Tone, empty, loading, tag
from services.dashboard.style import BLUE
from services.dashboard.tables import Html, table

RUNS = 60
_TONES: dict[str, Tone] = {"stable": "good", "watch": "warn", "drifted": "bad", "too_few": "info"}


def show_history(session: Session, use_case: UseCase) -> None:
    words = session.words
    with loading(words):
        answer = session.client.get(Service.GATEWAY, f"/admin/monitoring/{use_case.name}/runs", limit=RUNS)
    runs: list[dict[str, Any]] = answer["runs"] if isinstance(answer, dict) else answer
    if len(runs) < 2:
        empty(words("drift.no_history"))
    else:
        _shares(session, runs)
        _errors(session, use_case, runs)
    _table(session, runs)


def _shares(session: Session, runs: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        {"at": run["started_at"], "share": run["drift"]["share"]} for run in runs if run["drift"]["share"] is not None
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(color=BLUE, strokeWidth=3, point={"filled": True, "size": 70, "color": BLUE})
        .encode(
            x=alt.X("at:T", title=None),
            y=alt.Y(
                "share:Q",
                title=session.words("drift.history_share"),
                axis=alt.Axis(format=".0%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
        )
    )
    show(chart, session.language, height=260)


def _errors(session: Session, use_case: UseCase, runs: Sequence[Mapping[str, Any]]) -> None:
    """Each target on a scale of its own: seconds and shares do not share an axis."""
    by_target: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        for entry in run.get("error") or []:
            line = {"at": run["started_at"], "value": entry["value"], "low": entry["low"], "high": entry["high"]}
            line["version"] = session.words("drift.version", number=entry["version"])
            by_target.setdefault((entry["target"], entry["metric"]), []).append(line)
    for (target, metric), rows in by_target.items():
        title = f"{target_title(session, use_case, target)}: {metric_title(session, metric)}"
        versions = list(dict.fromkeys(str(row["version"]) for row in rows))
        colour = alt.Color("version:N", title=session.words("drift.slice_version"), scale=colours(versions[:6]))
        base = alt.Chart(alt.Data(values=rows)).encode(x=alt.X("at:T", title=None), color=colour)
        spans = base.mark_rule(strokeWidth=2).encode(
            y=alt.Y("low:Q", title=metric_title(session, metric), scale=alt.Scale(zero=False)), y2="high:Q"
        )
        dots = base.mark_point(filled=True, size=90, opacity=1).encode(y="value:Q", shape="version:N")
        st.markdown(f"**{title}**")
        show(spans + dots, session.language, height=260)


def _table(session: Session, runs: Sequence[Mapping[str, Any]]) -> None:
    words, formats = session.words, session.formats
    rows = []
    for run in runs[:20]:
        verdict = run["verdict"]
        word = words.known(f"drift.word_{verdict}", verdict)
        said = "; ".join(words.pair(dict(reason)) for reason in run["reasons"][:3])
        share = formats.percent(run["drift"]["share"])
        rows.append(
            [formats.moment(run["started_at"]), Html(tag(_TONES.get(verdict, "info"), word)), share, said or "–"]
        )
    names = ("at", "verdict", "share", "reasons")
    table(words("drift.history"), [words(f"drift.{name}") for name in names], rows, numbers=(2,))
