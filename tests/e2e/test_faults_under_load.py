"""Each part of the platform is lost in turn while a dispatch centre keeps asking: not one call may fail.

With ``VIGIE_WRITE_RELIABILITY=1`` what came of each fault is written to docs/reliability.md."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.core.settings import CHECKOUT
from tests.e2e.load.reliability import Row, write
from tests.e2e.load.steady import Load, steady_load
from tests.e2e.platform_client import Platform, champion_of, example_calls, wait_for
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("quiet_machine")]

RATE = 20.0
ORCHESTRATION = ("airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
STAGES = ("ingestion", "preprocessing", "training")
DATABASE_AWAY_SECONDS = 60.0


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    """What is measured here, in the order of the tests; written down if that is asked for."""
    measured: list[Row] = []
    yield measured
    if os.environ.get("VIGIE_WRITE_RELIABILITY"):
        write(CHECKOUT / "docs" / "reliability.md", measured)


@pytest.fixture
def under_load(
    stack: Stack, trained: None, key: str, rows: list[Row], tmp_path: Path
) -> Iterator[Callable[[str, Callable[[Load], None]], None]]:
    """Runs a fault under steady load, writes down what callers saw of it, and asserts that they saw nothing."""

    def run(fault: str, happens: Callable[[Load], None]) -> None:
        with steady_load(stack.address, key, example_calls(), tmp_path / "load", rate=RATE) as load:
            load.wait_for_calls(40)
            happens(load)
            load.wait_for_calls(100)
            summary = load.summary()
        rows.append(Row(fault, summary))
        assert not summary.failures, f"{fault}: {summary}"
        assert summary.calls > 140

    yield run
    stack.up()


def lose(stack: Stack, *services: str, seconds: float) -> Callable[[Load], None]:
    """SIGKILL to the services, ``seconds`` without them, and their return."""

    def happens(load: Load) -> None:
        stack.compose("kill", *services)
        load.wait_for_calls(round(seconds * RATE * 0.8), seconds=seconds * 4 + 60)
        stack.compose("start", *services)

    return happens


Run = Callable[[str, Callable[[Load], None]], None]


def test_nobody_notices_the_loss_of_the_gateway(stack: Stack, under_load: Run) -> None:
    under_load("gateway killed, down for 15 s", lose(stack, "gateway", seconds=15))


def test_nobody_notices_the_loss_of_the_registry(stack: Stack, under_load: Run) -> None:
    under_load("registry killed, down for 15 s", lose(stack, "registry", seconds=15))


def test_nobody_notices_the_loss_of_airflow(stack: Stack, under_load: Run) -> None:
    under_load("all of Airflow killed, down for 15 s", lose(stack, *ORCHESTRATION, seconds=15))


def test_nobody_notices_the_loss_of_the_stage_services(stack: Stack, under_load: Run) -> None:
    under_load("ingestion, preprocessing and training killed, down for 10 s", lose(stack, *STAGES, seconds=10))


def test_nobody_notices_a_database_that_is_away_for_a_minute(stack: Stack, under_load: Run) -> None:
    under_load("PostgreSQL killed, down for 60 s", lose(stack, "postgres", seconds=DATABASE_AWAY_SECONDS))


def test_nobody_notices_that_all_but_edge_and_prediction_are_lost_at_once(stack: Stack, under_load: Run) -> None:
    everything = ("gateway", "registry", "postgres", *ORCHESTRATION, *STAGES, "prometheus")
    under_load("all but edge and prediction killed at once, down for 15 s", lose(stack, *everything, seconds=15))


def test_nobody_notices_a_model_swap(platform: Platform, under_load: Run, two_versions: tuple[int, int]) -> None:
    """There and back again: each way, the calls after it are answered by the other version."""
    first, second = two_versions

    def swap(load: Load) -> None:
        for version in (first, second):
            platform.post("/admin/models/fire_response/promote", {"version": version})
            wait_for(
                f"version {version} to answer",
                lambda wanted=str(version): any(a.version == wanted for a in load.answers()[-20:]),  # type: ignore[misc]
                seconds=60,
            )

    under_load("two model swaps", swap)
    assert champion_of(platform, "fire_response") == str(second)


def test_nobody_notices_a_rolling_restart_of_two_prediction_replicas(stack: Stack, under_load: Run) -> None:
    stack.up("--scale", "prediction=2", "--no-recreate")

    def one_after_the_other(load: Load) -> None:
        for container in stack.containers("prediction"):
            stack.restart_container(container)
            load.wait_for_calls(20)

    under_load("rolling restart of two prediction replicas", one_after_the_other)


def test_nobody_notices_that_one_of_two_prediction_replicas_is_killed(stack: Stack, under_load: Run) -> None:
    stack.up("--scale", "prediction=2", "--no-recreate")

    def kill_one(load: Load) -> None:
        container = stack.containers("prediction")[0]
        stack.kill_container(container)
        load.wait_for_calls(60)
        stack.start_container(container)
        time.sleep(1)

    under_load("one of two prediction replicas killed", kill_one)
