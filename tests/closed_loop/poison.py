"""A poisoned batch of outcomes: calls are played as always, and what centres report about them is wrong."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np

from services.core import use_case_registry
from services.core.headers import CALL_KIND_HEADER, SIMULATED
from services.simulator import scenario
from services.simulator.call_generator import SimulatedCall, generate_calls
from services.simulator.datasets import build_pools
from services.simulator.plan import make_plan
from services.simulator.stats import LiveErrorStats
from tests.closed_loop.driver import look
from tests.e2e.platform_client import Platform, champion_of, wait_for

CALLS, DAYS = 1_500, 10
CENTRES = ("simulated-north", "simulated-south", "simulated-east")
SHORT_CENTRE, SHORT_SECONDS = "simulated-south", 60.0
OBJECTIVE = 360


@dataclass(frozen=True, slots=True)
class Found:
    kind: str
    held: tuple[Mapping[str, Any], ...]
    """The holds in force, with their reasons."""
    champion_before: str
    champion_after: str
    gate: str
    """What the retraining that followed made of it."""
    error_before: float
    error_after: float
    """Of the champion before and after, on the same calls, against what truly happened."""


def poisoned(platform: Platform, use_case: str, kind: str) -> Found:
    """Play ten days whose second half is reported wrongly, have them looked at, and retrain by hand: as if nobody had
    looked, so that what stands behind monitoring is tried too."""
    before = champion_of(platform, use_case)
    already = {hold["id"] for hold in _holds(platform, use_case)}
    keys = {centre: _key(platform, centre) for centre in CENTRES}
    played = _played(use_case)
    for centre in CENTRES:
        text = keys[centre]
        wait_for("the key", lambda t=text: platform.with_key(t, "GET", "/v1/use-cases").status_code == 200, seconds=60)  # type: ignore[misc]
    error = _error(platform, keys, played, use_case, "")
    reports = _poison(played, kind)
    for report in reports:
        body = {"outcomes": [report["outcome"]]}
        answer = platform.with_key(
            keys[report["centre"]], "POST", f"/v1/{use_case}/outcomes", json=body, headers={CALL_KIND_HEADER: SIMULATED}
        )
        assert answer.status_code == 202, answer.text
    last = reports[-1]["outcome"]["request_id"]
    wait_for("the last outcome in the log", lambda: _reported(platform, use_case, last), seconds=60)
    look(platform, use_case)
    held = tuple(hold for hold in _holds(platform, use_case) if hold["id"] not in already and not hold["lifted_at"])
    for hold in held:  # the cause is mended: later outcomes are believed, these stay out
        platform.post(f"/admin/monitoring/holds/{hold['id']}/end")
    run = platform.post("/admin/retrainings", {"use_case": use_case, "require_approval": False})["id"]
    wait_for("the retraining", lambda: platform.state_of(run, "succeeded", "failed"), seconds=900, every=3)
    newest = platform.get(f"/admin/models/{use_case}")["versions"][0]
    after = champion_of(platform, use_case)
    error_after = error if after == before else _error(platform, keys, played[-400:], use_case, "-again")
    return Found(kind, held, before, after, newest["tags"].get("gate", ""), error, error_after)


def _reported(platform: Platform, use_case: str, request_id: str) -> list[Any]:
    """The prediction, once its outcome lies beside it. Outcomes are delivered in order."""
    asked = {"request_id": request_id, "has_outcome": True, "kind": "simulated"}
    found: list[Any] = platform.get(f"/v1/{use_case}/predictions", params=asked)["predictions"]
    return found


def _error(platform: Platform, keys: Mapping[str, str], played: list[SimulatedCall], use_case: str, mark: str) -> float:
    """The loss of the first target against what truly happened to the last 400 calls; sends the calls."""
    live = LiveErrorStats(use_case_registry.get(use_case))
    for number, call in enumerate(played):
        answer = _send(platform, keys[call.centre], call.path, call.body, f"{call.request_id}{mark}")
        assert answer.status_code == 200, answer.text
        if call.reports and number >= len(played) - 400:
            live.add(answer.json()["predictions"], call.reports[-1][1].labels)
    return float(next(iter(live.summary().values()))["value"])


def _played(use_case: str) -> list[SimulatedCall]:
    chosen = scenario.load_scenario("unchanged-month")
    still = chosen.model_copy(
        update={"outcomes": chosen.outcomes.model_copy(update={"never": 0.0, "corrected": 0.0, "late": 0.0})}
    )
    seconds = 600.0
    plan = make_plan(
        still, rate=CALLS / seconds, seconds=seconds, speed=DAYS * 86_400 / seconds, use_cases=[use_case], seed=77
    )
    plan = replace(plan, id=uuid.uuid4().hex[:16])
    return list(generate_calls(plan, build_pools(plan.worlds())))


def _poison(played: list[SimulatedCall], kind: str) -> list[dict[str, Any]]:
    """What the centres report: the first half rightly, the second wrongly."""
    labels = [dict(call.reports[0][1].labels) if call.reports else {} for call in played]
    half = len(played) // 2
    if kind == "shuffled":
        order = np.random.default_rng(3).permutation(np.arange(half, len(played)))
        labels[half:] = [labels[number] for number in order]
    else:
        for number in range(half, len(played)):
            if played[number].centre == SHORT_CENTRE and "attendance_seconds" in labels[number]:
                seconds = max(1.0, labels[number]["attendance_seconds"] - SHORT_SECONDS)
                labels[number] |= {"attendance_seconds": seconds, "over_360s": seconds > OBJECTIVE}
    return [
        {"centre": call.centre, "outcome": {"request_id": call.request_id, "labels": said, "simulated": True}}
        for call, said in zip(played, labels, strict=True)
        if said
    ]


def _send(platform: Platform, key: str, path: str, body: bytes, request_id: str) -> httpx.Response:
    return platform.with_key(
        key,
        "POST",
        path,
        content=body,
        headers={"Content-Type": "application/json", "X-Request-Id": request_id, CALL_KIND_HEADER: SIMULATED},
    )


def _key(platform: Platform, centre: str) -> str:
    known = {item["name"] for item in platform.get("/admin/centres")}
    if centre not in known:
        platform.post("/admin/centres", {"name": centre, "title": centre})
    made = platform.post(
        "/admin/keys", {"name": f"poison {uuid.uuid4().hex[:6]}", "role": "dispatcher", "centre": centre}
    )
    text: str = made["text"]
    return text


def _holds(platform: Platform, use_case: str) -> list[dict[str, Any]]:
    found = platform.get(f"/admin/monitoring/{use_case}", expect=(200, 404))
    return list(found.get("holds", ())) if isinstance(found, dict) else []
