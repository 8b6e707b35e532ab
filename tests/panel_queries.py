"""Runs every panel's query against a real Prometheus, as Grafana would: reusable, for local processes and for the
Compose stack."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.core.settings import CHECKOUT

DASHBOARDS = CHECKOUT / "monitoring" / "grafana" / "provisioning" / "dashboards" / "vigie"
RULES = CHECKOUT / "monitoring" / "prometheus" / "rules"
VARIABLES = {"$use_case": ".*", "$__rate_interval": "1m", "$__range": "30m"}
"""What Grafana puts in, with the dashboards' choice "All"."""
_WORDS = frozenset(
    {"by", "on", "ignoring", "group_left", "group_right", "without", "and", "or", "unless", "bool", "offset"}
)


@dataclass(frozen=True, slots=True)
class Query:
    """One query of one panel."""

    dashboard: str
    panel: str
    legend: str
    expression: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel} / {self.legend}"

    @property
    def metrics(self) -> frozenset[str]:
        """Names of the series that it asks for."""
        return metrics_of(self.expression)


@dataclass(frozen=True, slots=True)
class Fault:
    query: Query
    reason: str

    def __str__(self) -> str:
        return f"{self.query}: {self.reason}\n    {self.query.expression}"


def metrics_of(expression: str) -> frozenset[str]:
    """Names of the series in a PromQL expression."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|on|ignoring|group_left|group_right|without)\s*\([^)]*\)", " ", bare)
    names = re.findall(r"[A-Za-z_:][A-Za-z0-9_:]*(?!\s*\()\b(?![A-Za-z0-9_:]|\s*\()", bare)
    return frozenset(name for name in names if name not in _WORDS)


def panels(folder: Path = DASHBOARDS) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each panel that is not a row, with its dashboard's title."""
    for path in sorted(folder.glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                yield dashboard["title"], panel


def queries(folder: Path = DASHBOARDS) -> list[Query]:
    return [
        Query(title, panel["title"], target["legendFormat"], _filled(target["expr"]), bool(target.get("instant")))
        for title, panel in panels(folder)
        for target in panel["targets"]
    ]


def faults(
    client: httpx.Client, *, without: Collection[str] = (), seconds: float = 0.0, minutes: float = 30.0
) -> list[Fault]:
    """The queries that fail or return no data.

    Args:
        client: its ``base_url`` is Prometheus's address with its base path.
        without: beginnings of the names of series that this platform does not have (no edge, no Airflow).
        seconds: how long to wait for those that have no data yet.
        minutes: how far the queries look back, for those that draw lines.
    """
    waiting = [query for query in queries() if not any(name.startswith(tuple(without)) for name in query.metrics)]
    until = time.monotonic() + seconds
    while True:
        found = {query: reason for query in waiting if (reason := _asked(client, query, minutes))}
        if not found or time.monotonic() > until:
            return [Fault(query, reason) for query, reason in found.items()]
        waiting = list(found)
        time.sleep(2)


def _asked(client: httpx.Client, query: Query, minutes: float) -> str:
    """Why the query is no good; empty where it returns data."""
    now = time.time()
    if query.instant:
        answer = client.get("/api/v1/query", params={"query": query.expression, "time": str(now)})
    else:
        asked = {"query": query.expression, "start": str(now - minutes * 60), "end": str(now), "step": "15"}
        answer = client.get("/api/v1/query_range", params=asked)
    body: Mapping[str, Any] = answer.json()
    if body.get("status") != "success":
        return f"Prometheus refuses it: {body.get('error')}"
    values = [
        float(value) for series in body["data"]["result"] for _, value in series.get("values") or [series["value"]]
    ]
    if not any(math.isfinite(value) for value in values):
        return "no data"
    return ""


def _filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression
