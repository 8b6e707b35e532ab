"""Playing a plan against a platform that answers, stalls or fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from services.core.errors import ConflictError, NotFoundError
from services.core.headers import CALL_KIND_HEADER
from services.simulator import simulation as module
from services.simulator.app import MAX_FINISHED, SimulationRunner
from services.simulator.client import PlatformClient
from services.simulator.plan import SimulationPlan
from services.simulator.settings import SimulatorSettings
from services.simulator.simulation import Simulation
from tests.unit.simulator.conftest import plan, pools

ANSWER = {
    "source": "champion",
    "answer": {"seconds": {"median": 300.0, "lower": 1.0, "upper": 900.0}, "late": False, "size": "small"},
    "predictions": {"seconds": {"value": 300.0, "lower": 1.0, "upper": 900.0}},
}


class Platform:
    """Answers at once unless told otherwise."""

    def __init__(self) -> None:
        self.calls: list[httpx.Request] = []
        self.outcomes: list[dict[str, Any]] = []
        self.stall = 0.0
        self.one_at_a_time = asyncio.Lock()
        self.status = 200
        self.block_at = 0
        self.called = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/use-cases":
            return httpx.Response(200, json=[])
        if b'"outcomes": [{' in request.content or b'"outcomes":[{' in request.content:
            assert request.headers[CALL_KIND_HEADER] == "simulated"
            self.outcomes += json.loads(request.content)["outcomes"]
            return httpx.Response(202, json={})
        self.calls.append(request)
        self.called.set()
        if len(self.calls) == self.block_at:
            time.sleep(0.3)  # noqa: ASYNC251 - that is what it is for
        if self.stall:
            async with self.one_at_a_time:
                await asyncio.sleep(self.stall)
        return httpx.Response(self.status, json=ANSWER)


def make(platform: Platform, chosen: SimulationPlan, **settings: Any) -> Simulation:
    given = SimulatorSettings.model_validate({"gateway_url": None, **settings})
    return Simulation(
        chosen, given, None, line=lambda url, keys: PlatformClient(url, keys, httpx.MockTransport(platform))
    )


@pytest.fixture(autouse=True)
def ready_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "build_pools", lambda _: pools())
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.5)


def played(
    chosen: SimulationPlan, change: Callable[[Platform], None] = lambda _: None, **settings: Any
) -> tuple[Platform, Any]:
    async def main() -> tuple[Platform, Any]:
        platform = Platform()
        change(platform)
        simulation = make(platform, chosen, **settings)
        await simulation.run()
        return platform, simulation.summary()

    return asyncio.run(main())


FAST: dict[str, Any] = {"rate": 100.0, "seconds": 0.6, "steady": True, "speed": 20_000.0}
"""Two seconds are half a day, so that reports fall due."""


def test_calls_are_sent_answered_and_reported() -> None:
    platform, told = played(plan(**FAST, outcomes={"never": 0, "late": 0, "corrected": 0, "spread": 0.1}))
    assert told["state"] == "finished"
    assert told["calls"]["sent"] == told["calls"]["answered"] == len(platform.calls) == 60
    assert told["sources"] == {"champion": 1.0}
    assert told["outcomes"]["sent"] == len(platform.outcomes) == 60
    assert all(item["simulated"] for item in platform.outcomes)
    assert {item["request_id"] for item in platform.outcomes} == {c.headers["x-request-id"] for c in platform.calls}
    assert told["live_error"]["toy"]["seconds"]["count"] == 60


def test_a_wrong_first_report_is_no_live_error_and_its_correction_is_one() -> None:
    slips = {"never": 0, "late": 0, "corrected": 1.0, "median_minutes": 5, "spread": 0.1}
    _, told = played(plan(**FAST, outcomes=slips))
    assert told["outcomes"]["sent"] == 120
    assert told["outcomes"]["corrected"] == told["live_error"]["toy"]["seconds"]["count"] == 60


def test_latency_counts_from_the_moment_a_call_was_meant_to_be_sent() -> None:
    """A platform that takes 50 ms for each call, one after the other, and gets one every 10 ms, makes callers wait ever
    longer. Whoever waits for each answer before the next call would see 50 ms."""

    def stall(platform: Platform) -> None:
        platform.stall = 0.05

    chosen = plan(rate=100.0, seconds=0.4, steady=True, speed=1.0)
    _, told = played(chosen, stall)
    assert told["latency_ms"]["p50"] > 300
    assert told["latency_ms"]["max"] > 2 * told["latency_ms"]["p50"] * 0.6


def test_what_the_simulator_itself_is_late_with_counts_too() -> None:
    """Calls that are sent late because the simulator was held up have waited since they were meant to be sent."""

    def hold_up(platform: Platform) -> None:
        platform.block_at = 5

    _, told = played(plan(rate=100.0, seconds=0.4, steady=True, speed=1.0), hold_up)
    assert told["calls"]["answered"] == 40
    assert told["latency_ms"]["p50"] > 60


def test_failures_and_refusals_are_told_apart() -> None:
    def broken(platform: Platform) -> None:
        platform.status = 503

    def refusing(platform: Platform) -> None:
        platform.status = 422

    assert played(plan(**FAST), broken)[1]["calls"]["failed"] == 60
    assert played(plan(**FAST), refusing)[1]["calls"]["refused"] == 60


def test_hostile_requests_have_figures_of_their_own() -> None:
    platform, told = played(plan(**FAST, hostile=0.5))
    assert told["calls"]["sent"] == len(platform.calls) == 60
    assert told["calls"]["answered"] + told["hostile"]["answered"] == 60
    assert told["hostile"]["answered"] > 10


def test_a_stopped_simulation_sends_nothing_more() -> None:
    async def main() -> None:
        platform = Platform()
        platform.stall = 30.0
        desk = SimulationRunner(lambda chosen, _: make(platform, chosen), together=1)
        started = desk.start(plan(rate=200.0, seconds=600.0, steady=True), "ada")
        await platform.called.wait()
        stopped = await asyncio.wait_for(desk.stop(started.plan.id), 5)
        sent = len(platform.calls)
        assert stopped.state == "stopped"
        assert stopped.summary()["finished_at"] is not None
        await asyncio.sleep(0.2)
        assert len(platform.calls) == sent

    asyncio.run(main())


def test_stopping_one_that_is_over_changes_nothing() -> None:
    async def main() -> None:
        desk = SimulationRunner(lambda chosen, _: make(Platform(), chosen), together=1)
        started = desk.start(plan(rate=10.0, seconds=0.1), "ada")
        await asyncio.sleep(1.2)
        assert started.over
        assert (await desk.stop(started.plan.id)).state == "finished"

    asyncio.run(main())


def test_no_more_wait_for_an_answer_than_may() -> None:
    def stall(platform: Platform) -> None:
        platform.stall = 5.0

    _, told = played(plan(rate=500.0, seconds=0.4, steady=True), stall, simulator_in_flight=20)
    assert told["calls"]["sent"] == 20
    assert told["calls"]["not_sent"] == 180


def test_no_more_run_together_than_may() -> None:
    async def main() -> None:
        desk = SimulationRunner(lambda chosen, _: make(Platform(), chosen), together=1)
        desk.start(plan(seconds=60.0), "ada")
        with pytest.raises(ConflictError):
            desk.start(plan(seconds=60.0), "ada")
        await desk.stop_all()

    asyncio.run(main())


def test_only_the_last_ones_are_kept() -> None:
    async def main() -> None:
        desk = SimulationRunner(lambda chosen, _: make(Platform(), chosen), together=1)
        for number in range(MAX_FINISHED + 3):
            chosen = plan(seconds=0.01)
            object.__setattr__(chosen, "id", f"{number:016d}")
            started = desk.start(chosen, "ada")
            await desk.stop(started.plan.id)
        assert len(desk.listed()) <= MAX_FINISHED + 1
        with pytest.raises(NotFoundError):
            desk.get(f"{0:016d}")

    asyncio.run(main())


def test_what_cannot_be_prepared_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ConflictError("No world today.")

    monkeypatch.setattr(module, "build_pools", broken)
    _, told = played(plan(**FAST))
    assert (told["state"], told["error"]) == ("failed", "No world today.")


class SlowToClose(PlatformClient):
    """A client whose connections take a moment to close."""

    closed = False

    async def close(self) -> None:
        await asyncio.sleep(0.05)
        await super().close()
        self.closed = True


def test_connections_are_closed_before_a_simulation_ends_that_is_stopped_twice() -> None:
    """An operator stops it, and then the service stops. What is left open is closed by the collector, in whatever runs
    then:
    uvloop warned of an unclosed TCPTransport for each connection of the client."""

    async def main() -> SlowToClose:
        platform = Platform()
        clients: list[SlowToClose] = []

        def connect(url: str, keys: Mapping[str, str]) -> SlowToClose:
            clients.append(SlowToClose(url, keys, httpx.MockTransport(platform)))
            return clients[-1]

        given = SimulatorSettings.model_validate({"gateway_url": None})
        simulation = Simulation(plan(**{**FAST, "seconds": 30.0}), given, None, line=connect)
        task = asyncio.create_task(simulation.run())
        await platform.called.wait()
        task.cancel()
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return clients[0]

    assert asyncio.run(main()).closed
