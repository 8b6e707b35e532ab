"""How wrong answers were, by the answers' ``predictions`` and the reported labels."""

from __future__ import annotations

from typing import Any

from services.core import use_case_registry
from services.simulator.stats import LiveErrorStats


def test_errors_are_means_over_what_was_reported() -> None:
    live = LiveErrorStats(use_case_registry.get("fire_response"))
    predictions: dict[str, dict[str, Any]] = {
        "attendance_seconds": {"value": 300.0, "lower": 200.0, "upper": 400.0},
        "over_360s": {"value": 0.2},
        "pumps": {"value": "1"},
    }
    live.add(predictions, {"attendance_seconds": 330.0, "over_360s": False, "pumps": "1"})
    live.add(predictions, {"attendance_seconds": 450.0, "over_360s": True})
    told = live.summary()
    seconds = {"metric": "mae", "value": 90.0, "count": 2, "unit": "s", "bias": -90.0, "coverage": 0.5}
    assert told["attendance_seconds"] == seconds
    assert told["over_360s"] == {"metric": "brier", "value": 0.34, "count": 2}
    assert told["pumps"] == {"metric": "accuracy", "value": 1.0, "count": 1}


def test_what_nobody_reported_is_not_told() -> None:
    live = LiveErrorStats(use_case_registry.get("fire_response"))
    live.add({"over_360s": {"value": 0.2}}, {})
    assert live.summary() == {}
