"""Generates the calls of a simulation, including malformed ones. Equal plan and seed give equal calls."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from services.core import use_case_registry
from services.core.headers import API_KEY_HEADER, CALL_KIND_HEADER, REQUEST_ID_HEADER, SIMULATED
from services.simulator.datasets import Example, ExamplePool
from services.simulator.outcome_reports import OutcomeReport
from services.simulator.outcome_reports import plan_reports as reports_of
from services.simulator.plan import CENTRES, CHANGED_SUFFIX, SimulationPlan, arrival_times


class MalformedRequest(NamedTuple):
    """A request that the service should reject, named by its malformation."""

    name: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    """Headers that replace or add to the caller's; an empty value omits the header."""


def make_malformed(chance: np.random.Generator, use_case: str, request: Mapping[str, Any]) -> MalformedRequest:
    """Create one of ``MALFORMATIONS`` from a valid request."""
    names = list(MALFORMATIONS)
    name = names[int(chance.integers(len(names)))]
    path, body, headers = MALFORMATIONS[name](f"/v1/{use_case}", dict(request), chance)
    return MalformedRequest(name, path, body, headers)


_FORGED_TOKEN = "eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ."  # noqa: S105
"""An unsigned token (``alg: none``) that claims the role administrator."""

_RequestParts = tuple[str, bytes, dict[str, str]]
_MakeRequest = Callable[[str, dict[str, Any], np.random.Generator], _RequestParts]


def _with_body(make: Callable[[dict[str, Any], np.random.Generator], bytes]) -> _MakeRequest:
    return lambda path, request, chance: (f"{path}/predict", make(request, chance), {})


def _with_value(value: Any) -> _MakeRequest:
    """Replaces the value of one field by ``value``."""

    def made(request: dict[str, Any], chance: np.random.Generator) -> bytes:
        names = list(request)
        request[names[int(chance.integers(len(names)))]] = value
        return json.dumps(request).encode()

    return _with_body(made)


def _with_headers(headers: dict[str, str]) -> _MakeRequest:
    return lambda path, request, _: (f"{path}/predict", json.dumps(request).encode(), headers)


def _at_path(path_of: Callable[[str], str], body: bytes) -> _MakeRequest:
    return lambda path, _, __: (path_of(path), body, {})


def _without_first(request: dict[str, Any], _: np.random.Generator) -> bytes:
    return json.dumps(dict(list(request.items())[1:])).encode()


def _truncated(request: dict[str, Any], chance: np.random.Generator) -> bytes:
    whole = json.dumps(request).encode()
    return whole[: int(chance.integers(1, len(whole)))]


def _random_bytes(_: dict[str, Any], chance: np.random.Generator) -> bytes:
    return bytes(chance.integers(0, 256, int(chance.integers(1, 400)), dtype=np.uint8))


def _duplicated_keys(request: dict[str, Any], _: np.random.Generator) -> bytes:
    whole = json.dumps(request)
    return (whole[:-1] + "," + whole[1:]).encode()


MALFORMATIONS: dict[str, _MakeRequest] = {
    "cut_off": _with_body(_truncated),
    "noise": _with_body(_random_bytes),
    "empty": _with_body(lambda _, __: b""),
    "a_list": _with_body(lambda request, _: json.dumps([request]).encode()),
    "not_a_number": _with_value(float("nan")),
    "infinite": _with_value(float("-inf")),
    "huge_number": _with_value(10**400),
    "huge_text": _with_value("x" * 40_000),
    "formula": _with_value("=cmd|'/c calc'!A1"),
    "sql": _with_value("'; DROP TABLE predictions; --"),
    "null_character": _with_value("a\x00b\ud800"),
    "an_object": _with_value({"$ne": None}),
    "a_year_too_far": _with_value("99999-01-01T00:00:00Z"),
    "left_out": _with_body(_without_first),
    "unknown_field": _with_body(lambda request, _: json.dumps({**request, "__proto__": {"admin": True}}).encode()),
    "named_twice": _with_body(_duplicated_keys),
    "deep": _with_body(lambda _, __: b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    "too_large": _with_body(lambda _, __: b'{"a":"' + b"x" * 70_000 + b'"}'),
    "utf16": _with_body(lambda request, _: json.dumps(request).encode("utf-16")),
    "another_type": _with_headers({"Content-Type": "text/xml"}),
    "another_charset": _with_headers({"Content-Type": "application/json; charset=utf-16"}),
    "no_key": _with_headers({API_KEY_HEADER: ""}),
    "wrong_key": _with_headers({API_KEY_HEADER: "vig_000000000000_" + "0" * 43}),
    "forged_token": _with_headers({API_KEY_HEADER: "", "Authorization": f"Bearer {_FORGED_TOKEN}"}),
    "unknown_kind": _with_headers({CALL_KIND_HEADER: "drill"}),
    "odd_request_id": _with_headers({REQUEST_ID_HEADER: "../../etc/passwd"}),
    "another_use_case": _at_path(lambda _: "/v1/nothing_of_the_kind/predict", b"{}"),
    "climbing": _at_path(lambda path: f"{path}/../../admin/users", b"{}"),
    "empty_batch": _at_path(lambda path: f"{path}/predict/batch", b'{"rows":[]}'),
    "endless_batch": _at_path(lambda path: f"{path}/predict/batch", b'{"rows":[' + b"{}," * 12_000 + b"{}]}"),
    "outcome_of_nothing": _at_path(lambda path: f"{path}/outcomes", b'{"labels":{}}'),
    "outcome_in_the_future": _at_path(
        lambda path: f"{path}/outcomes", b'{"incident_id":"x","happened_at":"2999-01-01T00:00:00Z","labels":{}}'
    ),
}  # fmt: skip
"""Malformation -> function that creates the request."""


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """A call to send, with the outcome reports that follow it."""

    elapsed: float
    """Scheduled send time, seconds after the start."""
    use_case: str
    centre: str
    request_id: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    reports: Sequence[tuple[timedelta, OutcomeReport]] = ()
    hostile: str = ""
    """Name of the malformation, empty for a valid call."""


def generate_calls(plan: SimulationPlan, pools: Mapping[str, ExamplePool]) -> Iterator[SimulatedCall]:
    """Draw calls from ``pools``, in the order in which they are sent."""
    arriving, drawing = (np.random.default_rng([plan.seed, number]) for number in (1, 2))
    names = list(plan.use_cases)
    weights = np.cumsum([plan.use_cases[name].weight for name in names])
    times = arrival_times(arriving, plan.scenario, plan.clock, plan.rate, plan.seconds)
    for number, elapsed in enumerate(times):
        name = names[int(np.searchsorted(weights, drawing.random() * weights[-1], side="right"))]
        played = plan.use_cases[name]
        changed = played.change is not None and drawing.random() < played.change.share(elapsed / plan.seconds)
        moment = plan.clock.at(elapsed)
        example = pools[name + CHANGED_SUFFIX if changed else name].draw(drawing, moment)
        for field, share in played.left_out.items():
            if drawing.random() < share:
                example.request.pop(field, None)
        yield _build_call(plan, drawing, _Arrival(number, name, elapsed, moment), example)


def replay_calls(plan: SimulationPlan, examples: Sequence[Example]) -> Iterator[SimulatedCall]:
    """Replay each example once, in time order and scaled by the plan's speed. Without times they are sent at the plan's
    rate."""
    drawing = np.random.default_rng([plan.seed, 2])
    (name,) = plan.use_cases
    for number, example in enumerate(examples):
        timed = not math.isnan(example.at)
        elapsed = (example.at - examples[0].at) / plan.clock.speed if timed else number / plan.rate
        if elapsed >= plan.seconds:
            return
        moment = datetime.fromtimestamp(example.at, UTC) if timed else plan.clock.at(elapsed)
        copy = Example(dict(example.request), example.labels, example.at)
        yield _build_call(plan, drawing, _Arrival(number, name, elapsed, moment), copy)


class _Arrival(NamedTuple):
    number: int
    use_case: str
    elapsed: float
    moment: datetime


def _build_call(plan: SimulationPlan, chance: np.random.Generator, coming: _Arrival, example: Example) -> SimulatedCall:
    number, use_case, elapsed, moment = coming
    centres = list(CENTRES)
    centre = centres[int(chance.choice(len(centres), p=list(CENTRES.values())))]
    request_id = f"{plan.id}-{number}"
    headers = {"Content-Type": "application/json", REQUEST_ID_HEADER: request_id, CALL_KIND_HEADER: SIMULATED}
    if chance.random() < plan.scenario.hostile:
        bad = make_malformed(chance, use_case, example.request)
        return SimulatedCall(
            elapsed, use_case, centre, request_id, bad.path, bad.body, {**headers, **bad.headers}, hostile=bad.name
        )
    request = {"incident_id": request_id, **example.request}
    report = OutcomeReport(use_case, centre, request_id, moment, example.labels, None)
    return SimulatedCall(
        elapsed,
        use_case,
        centre,
        request_id,
        f"/v1/{use_case}/predict",
        json.dumps(request).encode(),
        headers,
        reports_of(chance, plan.scenario.outcomes, use_case_registry.get(use_case), report, moment),
    )
