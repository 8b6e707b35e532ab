"""Plays a scenario against a running platform and looks at it as monitoring does, until the loop has closed.

Only the administrator's routes are used, so that a platform of local processes and the Compose stack are the same to
it. Time is the simulation's: one second of it is ``speed`` seconds of the calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

LOSSES = frozenset({"mae", "brier", "log_loss"})
_ENDED = frozenset({"finished", "stopped", "failed"})
_JOB_SECONDS = 300.0
_PATIENCE = 120.0


class Asked(Protocol):
    """The platform, with an administrator signed in."""

    def get(self, path: str, **more: Any) -> Any: ...

    def post(self, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. ``day`` counts the calls' own days since the simulation's first."""

    day: float
    verdict: str
    champion: int
    reasons: tuple[Mapping[str, Any], ...]
    action: Mapping[str, Any]
    error: float | None
    """Of the champion's own answers to all calls, by the first target's loss."""
    area_error: float | None
    """The same in the area that a reason names."""
    area_calls: int


@dataclass(frozen=True, slots=True)
class Served:
    """What the answers that callers in the area got on a day missed by."""

    version: int
    day: int
    calls: int
    error: float


def mean(served: Sequence[Served]) -> float:
    """The error over all calls of these days."""
    return sum(item.error * item.calls for item in served) / sum(item.calls for item in served)


@dataclass
class Timeline:
    use_case: str
    scenario: str
    area: tuple[str, str] | None = None
    """Column and value: the one that is played to change, else what monitoring named first."""
    named: float | None = None
    """Day at which monitoring named it."""
    looks: list[Seen] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    """Of the area, day by day; empty where nobody asked the database."""
    retrainings: list[float] = field(default_factory=list)
    """Days at which one was started by signal,"""
    promotions: list[tuple[float, int]] = field(default_factory=list)
    """and days at which another version served."""
    calls: dict[str, Any] = field(default_factory=dict)
    """The simulation's own figures."""
    alerts: list[str] = field(default_factory=list)
    before: float | None = None
    """The area's error before it rose,"""
    worst: float | None = None
    """at its worst under the old champion,"""
    after: float | None = None
    """and under the new one."""

    @property
    def fallen_back(self) -> float:
        """How much of the rise is gone, 1 for all of it."""
        assert None not in {self.before, self.worst, self.after}, f"not all was seen: {self}"
        return (self.worst - self.after) / (self.worst - self.before)  # type: ignore[operator]

    def lines(self) -> list[str]:
        """The timeline for people, as a Markdown table."""
        made = [
            "| day | verdict | champion | error | area | calls there | what happened |",
            "|---:|---|---:|---:|---:|---:|---|",
        ]
        for seen in self.looks:
            said = seen.reasons[0]["en"] if seen.reasons and seen.verdict == "drifted" else ""
            done = seen.action["en"] if seen.action["kind"] != "none" else ""
            area = "" if seen.area_error is None else f"{seen.area_error:.4g}"
            error = "" if seen.error is None else f"{seen.error:.4g}"
            made.append(
                f"| {seen.day:.1f} | {seen.verdict} | {seen.champion} | {error} | {area} | {seen.area_calls} | "
                f"{' '.join(filter(None, (said, done)))} |"
            )
        return made


def play(
    platform: Asked,
    use_case: str,
    scenario: str,
    *,
    rate: float,
    seconds: float,
    speed: float,
    look_every: float,
    area: tuple[str, str] | None = None,
    stop_early: bool = True,
    say: Callable[[str], None] = print,
) -> Timeline:
    """Play ``scenario`` and look every ``look_every`` seconds until it ends, or the loop has closed. ``area`` is the
    column and value of the calls whose world is to change, where that is known."""
    made = Timeline(use_case, scenario, area)
    platform = Patient(platform)
    asked = {"scenario": scenario, "rate": rate, "seconds": seconds, "speed": speed, "use_cases": [use_case]}
    simulation = platform.post("/admin/simulations", asked)
    path = f"/admin/simulations/{simulation['id']}"
    champion = _champion(platform, use_case)
    try:
        while True:
            state = platform.get(path)
            assert state["state"] != "failed", state["error"]
            if state["elapsed"] <= 0:
                time.sleep(1)
                continue
            began = time.monotonic()
            summary = look(platform, use_case)
            day = state["elapsed"] * speed / 86_400
            now = _champion(platform, use_case)
            if now != champion:
                champion = now
                made.promotions.append((day, now))
                say(f"day {day:.1f}: version {now} serves")
            _note(made, day, summary, now)
            _alerts(platform, made)
            say(_line(made.looks[-1]))
            if state["state"] in _ENDED or (stop_early and _closed(made)):
                break
            time.sleep(max(0.0, look_every - (time.monotonic() - began)))
    finally:
        ended = platform.get(path)
        if ended["state"] not in _ENDED:
            ended = platform.delete(path)
        made.calls = ended["calls"] | {"errors": ended.get("latest_errors", [])}
    return made


class Patient:
    """The platform, asked again where a part of it was too busy to answer: machines that run tests are. Calls of the
    simulation are not asked through this: of those none may fail."""

    def __init__(self, platform: Asked) -> None:
        self._platform = platform

    def get(self, path: str, **more: Any) -> Any:
        return self._again(lambda: self._platform.get(path, **more))

    def post(self, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
        return self._again(lambda: self._platform.post(path, body, **more))

    def delete(self, path: str) -> Any:
        ask = getattr(self._platform, "ask")  # noqa: B009 - the protocol has no DELETE
        return self._again(lambda: ask("DELETE", path))

    def _again(self, ask: Callable[[], Any]) -> Any:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return ask()
            except (AssertionError, httpx.TransportError) as error:
                busy = isinstance(error, httpx.TransportError) or ": 503 " in str(error)
                if not busy or time.monotonic() > end:
                    raise
                time.sleep(2)


def look(platform: Asked, use_case: str, *, report: bool = False) -> dict[str, Any]:
    """Have the calls looked at now; the run's summary."""
    job = platform.post(f"/admin/monitoring/{use_case}/runs", {"report": report})
    end = time.monotonic() + _JOB_SECONDS
    asked = job["id"]
    while job["state"] in {"queued", "running"}:
        assert time.monotonic() < end, f"the look did not end: {job}"
        time.sleep(0.5)
        job = platform.get(f"/admin/jobs/{asked}", expect=(200, 503))
        job.setdefault("state", "running")  # a part that was too busy to answer
    told = f"{job.get('error')} {job.get('log_tail', '')[-2_000:]}"
    assert job["state"] == "succeeded", f"the look {job['state']}: {told}"
    found: dict[str, Any] = platform.get(f"/admin/monitoring/runs/{asked}")
    return found


def _champion(platform: Asked, use_case: str) -> int:
    return int(platform.get(f"/admin/models/{use_case}")["champion"] or 0)


def _note(made: Timeline, day: float, summary: Mapping[str, Any], champion: int) -> None:
    named = [(r["column"], r["area"]) for r in summary["reasons"] if r["code"] == "error_segment" and r.get("area")]
    if named and made.area is None:
        made.area = named[0]
    if made.named is None and made.area in named:
        made.named = day
    target = summary["quality"][0]["target"] if summary["quality"] else None
    version = summary["model_version"]
    overall = area = None
    count = 0
    for entry in summary["quality"]:
        if entry["target"] != target or entry["version"] != version or entry["metric"] not in LOSSES:
            continue
        if not {"centre", "area", "hour"} & set(entry):
            overall = entry["value"]
        elif made.area is not None and (entry.get("column"), entry.get("area")) == made.area:
            area, count = entry["value"], entry["count"]
    made.looks.append(
        Seen(day, summary["verdict"], champion, tuple(summary["reasons"]), summary["action"], overall, area, count)
    )
    if summary["action"]["kind"] == "retraining":
        made.retrainings.append(day)
    _levels(made, summary)


def _levels(made: Timeline, summary: Mapping[str, Any]) -> None:
    """The area's error before, at its worst and after. Before is what the frozen test rows say of that area where no
    look came early enough."""
    seen = made.looks[-1]
    if made.area is None or seen.area_error is None:
        return
    if made.before is None:
        made.before = next(
            entry["reference"]
            for entry in summary["quality"]
            if (entry.get("column"), entry.get("area")) == made.area and entry["version"] == summary["model_version"]
        )
    # A look that began before the swap still judges the version before.
    serves = made.promotions and str(made.promotions[-1][1]) == summary["model_version"]
    if not (_learned(made) and serves):
        made.worst = max(made.worst or 0.0, seen.area_error)
    else:
        made.after = seen.area_error


def _closed(made: Timeline) -> bool:
    """Whether enough was seen of the new champion."""
    return _learned(made) and made.after is not None and made.looks[-1].area_calls >= 80


def _learned(made: Timeline) -> bool:
    """Whether a version serves whose training was started by signal after the area had been named."""
    started = [day for day in made.retrainings if made.named is not None and day >= made.named]
    return bool(started) and any(day > started[0] for day, _ in made.promotions)


def _alerts(platform: Asked, made: Timeline) -> None:
    try:
        found = platform.get("/admin/alerts", expect=(200, 404, 503))
    except TypeError:
        return
    if isinstance(found, Mapping):
        for alert in found.get("alerts", ()):
            if alert["name"] not in made.alerts and alert.get("use_case") in {None, made.use_case}:
                made.alerts.append(alert["name"])


def _line(seen: Seen) -> str:
    area = "" if seen.area_error is None else f", area {seen.area_error:.4g} on {seen.area_calls}"
    said = f": {seen.reasons[0]['en']}" if seen.reasons else ""
    done = f" -> {seen.action['en']}" if seen.verdict == "drifted" else ""
    error = "?" if seen.error is None else f"{seen.error:.4g}"
    return f"day {seen.day:4.1f} version {seen.champion} {seen.verdict:8} error {error}{area}{said[:160]}{done[:160]}"
