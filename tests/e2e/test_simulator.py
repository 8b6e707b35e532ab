"""Control rooms played against the whole stack: started by an operator through the gateway, marked from end to end,
and stopped."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.platform_client import USE_CASES, Platform, wait_for
from tests.e2e.stack import Stack

pytestmark = pytest.mark.docker

STORM = {"scenario": "storm", "rate": 10, "seconds": 600, "speed": 600, "use_cases": list(USE_CASES)}


def test_a_storm_is_started_watched_and_stopped(stack: Stack, platform: Platform, trained: None) -> None:
    assert "storm" in platform.get("/admin/simulations")["scenarios"]
    started = platform.post("/admin/simulations", STORM)
    path = f"/admin/simulations/{started['id']}"

    def under_way() -> dict[str, Any] | None:
        told: dict[str, Any] = platform.get(path)
        assert told["state"] in {"preparing", "running"}, told
        reported = set(told["live_error"]) == set(USE_CASES)
        return told if told["calls"]["answered"] > 100 and reported else None

    told = wait_for("calls, answers and outcomes of the storm", under_way, seconds=180)
    assert told["latency_ms"]["p50"] > 0
    assert set(told["sources"]) <= {"champion", "cached"}
    stopped = platform.ask("DELETE", path)
    assert stopped["state"] == "stopped"
    assert (stopped["calls"]["failed"], stopped["calls"]["refused"]) == (0, 0)

    for use_case in USE_CASES:
        listed = wait_for(
            f"the storm's calls in the list of {use_case}",
            lambda use_case=use_case: platform.get(  # type: ignore[misc]
                f"/v1/{use_case}/predictions", params={"kind": "simulated", "has_outcome": True, "limit": 20}
            )["predictions"],
            seconds=60,
        )
        assert {call["kind"] for call in listed} == {"simulated"}
        assert {call["centre"] for call in listed} <= {"simulated-north", "simulated-south", "simulated-east"}
    assert stack.query("vigie", "SELECT DISTINCT kind FROM outcomes WHERE centre LIKE 'simulated-%'") == ["simulated"]


def test_only_operators_start_simulations(platform: Platform) -> None:
    assert platform.anonymous("POST", "/admin/simulations", json=STORM).status_code == 401
    platform.post("/admin/simulations", {"scenario": "no-such-thing"}, expect=404)


def test_the_simulators_keys_end_with_it(stack: Stack, platform: Platform) -> None:
    """A killed simulator's keys end by themselves; those of a simulation that was stopped are revoked at once."""
    alive = "SELECT count(*) FROM api_keys WHERE centre LIKE 'simulated-%' AND revoked_at IS NULL"
    wait_for("the end of the keys", lambda: stack.query("vigie", alive) == ["0"], seconds=30)
