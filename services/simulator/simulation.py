"""Runs one simulation from preparation to end.

Open loop: calls are sent on schedule, and latency is measured from the scheduled time."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import structlog

from services.core import use_case_registry
from services.core.errors import UnavailableError, VigieError
from services.simulator.call_generator import SimulatedCall, generate_calls, replay_calls
from services.simulator.client import CentreKeyClient, CentreKeys, PlatformClient
from services.simulator.datasets import ExamplePool, build_pools, load_replay
from services.simulator.outcome_reports import OutcomeReport, ReportQueue
from services.simulator.plan import CENTRES, SimulationPlan
from services.simulator.settings import SimulatorSettings
from services.simulator.stats import SimulationStats

SimulationPhase = Literal["preparing", "running", "ending", "finished", "stopped", "failed"]

KEY_LIFETIME_MARGIN = timedelta(minutes=10)
KEY_PROPAGATION_SECONDS = 30.0
DRAIN_SECONDS = 5.0
"""After the last call, reports that fall due within this time are still sent, seconds."""
_REPORTS_PER_REQUEST = 200
"""Maximum number of reports in one request."""
_TICK_SECONDS = 0.1

log = structlog.get_logger(__name__)


class Simulation:
    """One simulation; ``run`` is executed as a task, and cancelling it stops the simulation."""

    def __init__(
        self,
        plan: SimulationPlan,
        settings: SimulatorSettings,
        keys: CentreKeyClient | None,
        *,
        asked_by: str = "",
        line: Callable[[str, dict[str, str]], PlatformClient] = PlatformClient,
    ) -> None:
        self.plan = plan
        self.state: SimulationPhase = "preparing"
        self.error = ""
        self.asked_by = asked_by
        self.figures = SimulationStats(use_case_registry.get(name) for name in plan.use_cases)
        self.started_at = datetime.now(UTC)
        self.finished_at: datetime | None = None
        self._settings = settings
        self._source = keys
        self._client_factory = line
        self._waiting = ReportQueue(settings.simulator_outcomes)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._begun: float | None = None
        self._ended: float | None = None

    @property
    def over(self) -> bool:
        return self.finished_at is not None

    @property
    def elapsed(self) -> float:
        """Seconds since the first call could be sent; preparation does not count."""
        if self._begun is None:
            return 0.0
        now = self._ended if self._ended is not None else asyncio.get_running_loop().time()
        return max(0.0, now - self._begun)

    def mark_not_started(self) -> None:
        """Set the state of a simulation that was stopped before ``run`` started."""
        self.state, self.finished_at = "stopped", datetime.now(UTC)

    async def run(self) -> None:
        keys: CentreKeys | None = None
        line: PlatformClient | None = None
        try:
            coming = await asyncio.to_thread(self._prepare)
            if self._source is not None:
                keys = await self._keys(self._source)
            line = self._client_factory(self._settings.prediction_url, keys.texts if keys is not None else {})
            await self._wait_until_admitted(line, keys)
            await self._play(line, coming)
            self.state = "finished"
        except asyncio.CancelledError:
            self.state = "stopped"
            raise
        except VigieError as error:
            self.state, self.error = "failed", str(error)
        except Exception as error:
            self.state, self.error = "failed", f"{type(error).__name__}: see the simulator's log"
            log.exception("simulation failed", simulation=self.plan.id, scenario=self.plan.scenario.name)
        finally:
            await _to_the_end(self._clean_up(line, keys))
            self.finished_at = datetime.now(UTC)
            log.info("simulation over", simulation=self.plan.id, state=self.state, calls=self.figures.sent)

    def _prepare(self) -> Iterator[SimulatedCall]:
        if self.plan.replay is not None:
            (name,) = self.plan.use_cases
            length = timedelta(seconds=self.plan.seconds * self.plan.clock.speed)
            return replay_calls(self.plan, load_replay(name, self.plan.replay, length))
        made: dict[str, ExamplePool] = build_pools(self.plan.worlds())
        return generate_calls(self.plan, made)

    async def _keys(self, source: CentreKeyClient) -> CentreKeys:
        minutes = math.ceil(self.plan.seconds / 60 + KEY_LIFETIME_MARGIN / timedelta(minutes=1))
        return await source.make(list(CENTRES), minutes, self.asked_by)

    async def _wait_until_admitted(self, line: PlatformClient, keys: CentreKeys | None) -> None:
        """Wait until the platform accepts the keys; each replica polls the gateway by itself.

        Raises:
            UnavailableError: the keys are not accepted in time, or the platform does not answer.
        """
        until = asyncio.get_running_loop().time() + KEY_PROPAGATION_SECONDS
        in_a_row = 0
        while in_a_row < (8 if keys is not None else 1):
            if asyncio.get_running_loop().time() > until:
                raise UnavailableError(
                    f"The prediction service at {self._settings.prediction_url} does not let the simulator in.",
                    action="See that it runs and reaches the gateway.",
                )
            let_in = [await line.is_key_known(centre) for centre in CENTRES]
            in_a_row = in_a_row + 1 if all(let_in) else 0
            await asyncio.sleep(0.02 if all(let_in) else 0.3)

    async def _play(self, line: PlatformClient, coming: Iterator[SimulatedCall]) -> None:
        self.state = "running"
        self._begun = asyncio.get_running_loop().time()
        reporting = asyncio.create_task(self._report(line))
        try:
            await self._send(line, coming)
            self.state = "ending"
            await self._drain()
        finally:
            self._ended = asyncio.get_running_loop().time()
            for task in (reporting, *self._in_flight):
                task.cancel()
            await asyncio.gather(reporting, *self._in_flight, return_exceptions=True)

    async def _send(self, line: PlatformClient, coming: Iterator[SimulatedCall]) -> None:
        loop = asyncio.get_running_loop()
        assert self._begun is not None
        for call in coming:
            ahead = self._begun + call.elapsed - loop.time()
            await asyncio.sleep(max(0.0, ahead))
            if len(self._in_flight) >= self._settings.simulator_in_flight:
                self.figures.not_sent += 1
                continue
            task = asyncio.create_task(self._one(line, call))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)
        await asyncio.sleep(max(0.0, min(self._begun + self.plan.seconds - loop.time(), self.plan.seconds)))

    async def _one(self, line: PlatformClient, call: SimulatedCall) -> None:
        assert self._begun is not None
        self.figures.count_sent(call.use_case, call.centre)
        status, answer = await line.call(call)
        ended = asyncio.get_running_loop().time()
        self.figures.count_ended(status, ended - self._begun - call.elapsed, hostile=bool(call.hostile))
        if call.hostile or not isinstance(answer, dict) or "predictions" not in answer:
            return
        self.figures.sources[answer.get("source", "")] += 1
        if not call.reports:
            self.figures.outcomes["never"] += 1
        for number, (delay, report) in enumerate(call.reports):
            last = number == len(call.reports) - 1
            due = self._begun + call.elapsed + delay.total_seconds() / self.plan.clock.speed
            self._waiting.put(max(due, ended), replace(report, predictions=answer["predictions"]) if last else report)

    async def _report(self, line: PlatformClient) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            groups: dict[tuple[str, str], list[OutcomeReport]] = defaultdict(list)
            for report in self._waiting.due(asyncio.get_running_loop().time(), _REPORTS_PER_REQUEST):
                groups[report.use_case, report.centre].append(report)
            for (use_case, centre), reports in groups.items():
                status = await line.report(use_case, centre, reports)
                self._count_reports(reports, status)

    def _count_reports(self, reports: list[OutcomeReport], status: int | str) -> None:
        outcomes = self.figures.outcomes
        if status != 202:
            outcomes["failed"] += len(reports)
            self.figures.errors.append(f"outcomes {status}")
            return
        for report in reports:
            outcomes["sent"] += 1
            outcomes["late"] += report.late
            outcomes["corrected"] += report.correction
            if report.predictions is not None:
                self.figures.live[report.use_case].add(report.predictions, report.labels)

    async def _drain(self) -> None:
        """Wait for outstanding responses and for reports that fall due soon."""
        until = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while self._in_flight or len(self._waiting):
            await asyncio.sleep(_TICK_SECONDS)
            if asyncio.get_running_loop().time() > until:
                break
        self.figures.outcomes["not_due"] = len(self._waiting)
        self.figures.outcomes["dropped"] = self._waiting.dropped

    async def _clean_up(self, line: PlatformClient | None, keys: CentreKeys | None) -> None:
        if line is not None:
            await line.close()
        if keys is not None and self._source is not None:
            try:
                await self._source.end(keys)
            except UnavailableError as error:
                log.warning("keys were not revoked and expire by themselves", reason=error.problem)

    def summary(self) -> dict[str, Any]:
        """State and statistics as JSON."""
        plan = self.plan
        return {
            "id": plan.id,
            "scenario": plan.scenario.name,
            "title": plan.scenario.title,
            "state": self.state,
            "error": self.error,
            "asked_by": self.asked_by,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "rate": plan.rate,
            "seconds": plan.seconds,
            "speed": plan.clock.speed,
            "seed": plan.seed,
            "use_cases": list(plan.use_cases),
            "elapsed": round(self.elapsed, 1),
            "clock": plan.clock.at(min(self.elapsed, plan.seconds)),
            "outcomes_waiting": len(self._waiting) if not self.over else 0,
            **self.figures.summary(),
        }


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await ``work`` however often the waiting task is cancelled meanwhile. A shield alone ends at the second
    cancellation (an operator's stop, then the service's), and the loop closes before the connections do."""
    task, cancelled = asyncio.ensure_future(work), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
