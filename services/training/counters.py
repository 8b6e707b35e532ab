"""What the training service counts about models, from the results of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter

from services.core.jobs.counters import Counters
from services.core.usecases import registry as declared

DECISIONS = ("promote", "refuse", "unchanged")
WAYS = ("gate", "by_hand")


def count_decisions(counters: Counters) -> None:
    """Count the gate's decisions and what became champion; every series begins at zero."""
    decisions = Counter(
        "vigie_gate_decisions", "What the gate decided.", ("use_case", "decision"), registry=counters.registry
    )
    promotions = Counter("vigie_promotions", "Versions made champion.", ("use_case", "way"), registry=counters.registry)
    rollbacks = Counter("vigie_rollbacks", "Returns to the champion before.", ("use_case",), registry=counters.registry)
    for use_case in declared.names():
        rollbacks.labels(use_case)
        for decision in DECISIONS:
            decisions.labels(use_case, decision)
        for way in WAYS:
            promotions.labels(use_case, way)

    def gate(use_case: str, result: Mapping[str, Any]) -> None:
        decisions.labels(use_case, result["decision"]).inc()

    def promote(use_case: str, result: Mapping[str, Any]) -> None:
        if result["promoted"]:
            promotions.labels(use_case, "by_hand" if result["by_hand"] else "gate").inc()

    def rollback(use_case: str, _: Mapping[str, Any]) -> None:
        rollbacks.labels(use_case).inc()

    counters.tell("gate", gate)
    counters.tell("promote", promote)
    counters.tell("rollback", rollback)
