"""Control rooms played against a gateway and a prediction service: keys, marks, truth and hostility."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from services.core import use_case_registry
from services.core.bundle.predictor import Predictor
from services.core.scoring.report import score
from tests.integration.simulator.conftest import Platform
from tests.toy.bundles import make_examples


def rows(engine: Engine, query: str, **values: object) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def until(reached: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not reached within {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def played(platform: Platform) -> dict[str, Any]:
    """A client that is hostile in every way there is, several times over, among ordinary calls."""
    return platform.play(scenario="bad-client", rate=100, seconds=2.5, speed=20_000, seed=5)


def test_hostile_requests_are_refused_and_never_get_a_500(played: dict[str, Any]) -> None:
    assert played["state"] == "finished", played
    assert played["hostile"]["refused"] > 60
    assert played["hostile"].get("failed", 0) == 0, played["statuses"]
    # 503 is the answer to a made-up key until a newer access list has confirmed that nobody made it.
    assert [status for status in played["statuses"] if not status.startswith(("2", "4")) and status != "503"] == []


def test_ordinary_calls_among_them_are_answered(played: dict[str, Any]) -> None:
    assert played["calls"]["answered"] == played["calls"]["sent"] - sum(played["hostile"].values()) > 50


def test_all_that_is_kept_of_it_is_marked_as_simulated(platform: Platform, played: dict[str, Any]) -> None:
    assert played["outcomes"]["sent"] > 20
    until(lambda: rows(platform.engine, "SELECT count(*) FROM predictions")[0][0] >= played["calls"]["answered"])
    assert rows(platform.engine, "SELECT DISTINCT kind FROM predictions") == [("simulated",)]
    until(lambda: rows(platform.engine, "SELECT DISTINCT kind, simulated FROM outcomes") == [("simulated", 1)])
    counted = platform.prediction.get("/metrics").text.splitlines()
    answers = [line for line in counted if line.startswith("vigie_predictions_total{")]
    assert answers
    assert all('kind="simulated"' in line for line in answers)


def test_each_centre_calls_with_a_key_of_its_own_which_ends_with_the_simulation(
    platform: Platform, played: dict[str, Any]
) -> None:
    made = rows(platform.engine, "SELECT centre, role, revoked_at IS NOT NULL FROM api_keys ORDER BY centre")
    assert made == [(f"simulated-{name}", "dispatcher", 1) for name in ("east", "north", "south")]
    assert set(played["calls"]["by_centre"]) == {centre for centre, *_ in made}


def test_the_simulator_gets_no_key_of_a_real_centre(platform: Platform) -> None:
    headers = {"Authorization": platform.simulator.headers["Authorization"]}
    asked = {"centres": ["default"], "minutes": 5}
    assert platform.gateway.post("/internal/simulator/keys", json=asked, headers=headers).status_code == 422


def test_the_simulator_ends_no_key_but_its_own(platform: Platform, played: dict[str, Any]) -> None:
    made = platform.as_admin("POST", "/admin/keys", json={"name": "console", "centre": "default"}).json()
    headers = {"Authorization": platform.simulator.headers["Authorization"]}
    body = {"ids": [made["key"]["id"]]}
    answer = platform.gateway.request("DELETE", "/internal/simulator/keys", json=body, headers=headers)
    assert answer.status_code == 400
    still = "SELECT count(*) FROM api_keys WHERE id = :id AND revoked_at IS NULL"
    assert rows(platform.engine, still, id=made["key"]["id"]) == [(1,)]
    platform.as_admin("DELETE", f"/admin/keys/{made['key']['id']}")


def test_an_operator_starts_watches_and_stops_a_storm(platform: Platform) -> None:
    asked = {"scenario": "storm", "rate": 20, "seconds": 600, "use_cases": ["toy"]}
    assert "storm" in platform.as_admin("GET", "/admin/simulations").json()["scenarios"]
    started = platform.as_admin("POST", "/admin/simulations", json=asked)
    assert started.status_code == 202, started.text
    path = f"/admin/simulations/{started.json()['id']}"
    platform.until(lambda told: told["calls"]["answered"] > 20, started.json()["id"])
    told = platform.as_admin("DELETE", path).json()
    assert (told["state"], told["asked_by"]) == ("stopped", "admin")
    assert platform.as_admin("GET", path).json()["calls"] == told["calls"]
    query = "SELECT actor_name, action FROM audit_entries WHERE action LIKE 'simulation.%' ORDER BY sequence"
    assert rows(platform.engine, query) == [("admin", "simulation.started"), ("admin", "simulation.stopped")]


def test_what_cannot_be_played_is_said(platform: Platform) -> None:
    assert platform.simulator.post("/simulations", json={"scenario": "no-such"}).status_code == 404
    too_fast = platform.simulator.post("/simulations", json={"scenario": "rush", "rate": 50_000})
    assert too_fast.status_code == 400
    assert "2000" in too_fast.text
    missing = platform.play(scenario="storm", replay="/nowhere/at/all")
    assert missing["state"] == "failed"
    assert "not a folder" in missing["error"]


def test_files_are_replayed_in_the_order_of_time(platform: Platform, tmp_path: Path) -> None:
    use_case_registry.get("toy").simulator.write(tmp_path, seed=3, rows=60, start="2026-01-05", days=1)
    told = platform.play(scenario="quiet-night", replay=str(tmp_path), speed=86_400 / 1.5, seconds=2)
    assert (told["state"], told["calls"]["sent"], told["calls"]["answered"]) == ("finished", 60, 60)
    query, of = "SELECT request_id, request FROM predictions WHERE request_id LIKE :of", f"{told['id']}-%"
    until(lambda: len(rows(platform.engine, query, of=of)) == 60)
    numbered = {
        int(name.rpartition("-")[2]): json.loads(request) for name, request in rows(platform.engine, query, of=of)
    }
    times = [numbered[number]["called_at"] for number in range(60)]
    assert times == sorted(times)
    assert all(time.startswith("2026-01-05") for time in times)


@pytest.mark.slow
def test_on_an_unchanged_world_the_live_error_is_the_test_error(platform: Platform) -> None:
    """The hidden truth of simulated calls comes from the world that training files come from."""
    asked = {"scenario": "storm", "rate": 40, "seconds": 8, "speed": 100_000, "seed": 11}
    live = platform.play(**asked)["live_error"]["toy"]["seconds"]
    examples = make_examples(4_000, seed=77)
    tested = score(Predictor(use_case_registry.get("toy"), platform.bundle), examples, {})["metrics"]["seconds"]["mae"]
    assert live["count"] > 500
    assert live["value"] == pytest.approx(tested, rel=0.15)
