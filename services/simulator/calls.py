"""The calls of a simulation, one after the other. The same plan and seed give the same calls, however the platform
answers them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from services.core.calls.kinds import SIMULATED
from services.core.headers import CALL_KIND_HEADER, REQUEST_ID_HEADER
from services.core.usecases import registry
from services.simulator.arrivals import moments
from services.simulator.examples import Example, Pool
from services.simulator.hostile import hostile
from services.simulator.plan import CENTRES, CHANGED, Plan
from services.simulator.reports import Report
from services.simulator.reports import planned as reports_of


@dataclass(frozen=True, slots=True)
class Call:
    elapsed: float
    """Seconds after the beginning at which it is meant to be sent."""
    use_case: str
    centre: str
    request_id: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    reports: Sequence[tuple[timedelta, Report]] = ()
    hostile: str = ""
    """What is wrong with it, where it is meant to be wrong."""


def calls(plan: Plan, pools: Mapping[str, Pool]) -> Iterator[Call]:
    """Calls drawn from ``pools``, in the order in which they are sent."""
    arriving, drawing = (np.random.default_rng([plan.seed, number]) for number in (1, 2))
    names = list(plan.use_cases)
    weights = np.cumsum([plan.use_cases[name].weight for name in names])
    times = moments(arriving, plan.scenario, plan.clock, plan.rate, plan.seconds)
    for number, elapsed in enumerate(times):
        name = names[int(np.searchsorted(weights, drawing.random() * weights[-1], side="right"))]
        played = plan.use_cases[name]
        changed = played.change is not None and drawing.random() < played.change.share(elapsed / plan.seconds)
        moment = plan.clock.at(elapsed)
        example = pools[name + CHANGED if changed else name].draw(drawing, moment)
        for field, share in played.left_out.items():
            if drawing.random() < share:
                example.request.pop(field, None)
        yield _call(plan, drawing, _Coming(number, name, elapsed, moment), example)


def replay(plan: Plan, examples: Sequence[Example]) -> Iterator[Call]:
    """Each example once, at its own time: in the order of time, so many times as fast as it happened. Without time
    they come at the plan's rate."""
    drawing = np.random.default_rng([plan.seed, 2])
    (name,) = plan.use_cases
    for number, example in enumerate(examples):
        timed = not math.isnan(example.at)
        elapsed = (example.at - examples[0].at) / plan.clock.speed if timed else number / plan.rate
        if elapsed >= plan.seconds:
            return
        moment = datetime.fromtimestamp(example.at, UTC) if timed else plan.clock.at(elapsed)
        copy = Example(dict(example.request), example.labels, example.at)
        yield _call(plan, drawing, _Coming(number, name, elapsed, moment), copy)


class _Coming(NamedTuple):
    number: int
    use_case: str
    elapsed: float
    moment: datetime


def _call(plan: Plan, chance: np.random.Generator, coming: _Coming, example: Example) -> Call:
    number, use_case, elapsed, moment = coming
    centres = list(CENTRES)
    centre = centres[int(chance.choice(len(centres), p=list(CENTRES.values())))]
    request_id = f"{plan.id}-{number}"
    headers = {"Content-Type": "application/json", REQUEST_ID_HEADER: request_id, CALL_KIND_HEADER: SIMULATED}
    if chance.random() < plan.scenario.hostile:
        bad = hostile(chance, use_case, example.request)
        return Call(
            elapsed, use_case, centre, request_id, bad.path, bad.body, {**headers, **bad.headers}, hostile=bad.name
        )
    request = {"incident_id": request_id, **example.request}
    report = Report(use_case, centre, request_id, moment, example.labels, None)
    return Call(
        elapsed,
        use_case,
        centre,
        request_id,
        f"/v1/{use_case}/predict",
        json.dumps(request).encode(),
        headers,
        reports_of(chance, plan.scenario.outcomes, registry.get(use_case), report, moment),
    )
