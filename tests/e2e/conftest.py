"""What the end-to-end suite shares: one stack for all of its tests, started once and used in the order of ``ORDER``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from services.cli.commands.test import BROWSER_LOCK, SHARED_FOLDER, STACK_IS_UP
from services.core import use_case_registry
from tests.e2e.images import build_images
from tests.e2e.platform_client import USE_CASES, Platform, champion_of, wait_for
from tests.e2e.real_files import USE_CASE, bring_files, bring_simulated_files
from tests.e2e.stack import Stack, StartingStack, make_stack, starting

ORDER = (
    "test_images",
    "test_edge",
    "test_first_start",
    "test_a_day",
    "test_five_use_cases",
    "test_closed_loop",
    "test_dashboard",
    "test_simulator",
    "test_faults_under_load",
    "test_prediction_log",
    "test_monitoring",
    "test_lasting",
)
"""From what every test needs to what leaves the stack changed. Each file passes alone too."""
OTHER_SUITES_SECONDS = 1_800
KEPT_STACK = "VIGIE_E2E_STACK"
FIRST_TRAINING_SECONDS = 1_200
RETRAINING_SECONDS = 1_200
SECOND_SEED = 23
SECOND_SHARE = 0.5
"""Of the rows that the first model learned from: other files, and quicker."""
SETTINGS = {
    # no night falls while the suite runs: other data would come between its own
    "VIGIE_AIRFLOW_NIGHT_BEGINS": str((datetime.now(UTC).hour + 8) % 24),
    # every machine plays the same day, whatever it can download
    "VIGIE_GATEWAY_FIRST_SOURCE": "simulator",
    # a compressed month has more days than the machine
    "VIGIE_DRIFT_DAILY_RETRAININGS": "20",
    # an unchanged month is played for every use case at the same time
    "VIGIE_SIMULATOR_TOGETHER": "6",
    "VIGIE_AIRFLOW_RETRIES": "1",
    "VIGIE_AIRFLOW_RETRY_SECONDS": "2",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    ours = [item for item in items if item.path.parent == here]
    ours.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else len(ORDER))
    others = [item for item in items if item.path.parent != here]
    items[:] = [*others, *ours]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Every image of the platform, built once."""
    return build_images(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def starting_stack(images: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartingStack]:
    """The whole platform but Grafana, while it starts. ``VIGIE_E2E_STACK=FOLDER`` keeps it running with its settings in
    that folder, and takes it from there the next time: for working on a test."""
    if os.environ.get(KEPT_STACK):
        folder = Path(os.environ[KEPT_STACK])
        with starting(kept_stack(folder), folder, keep=True) as begun:
            yield begun
    else:
        folder = tmp_path_factory.mktemp("stack")
        with starting(make_stack(folder, **SETTINGS), folder) as begun:
            yield begun


@pytest.fixture(scope="session", autouse=True)
def start_early(request: pytest.FixtureRequest) -> None:
    """Images and edge are tested while the stack starts, where it is wanted later."""
    if any("stack" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("starting_stack")


@pytest.fixture(scope="session")
def stack(starting_stack: StartingStack) -> Stack:
    """The whole platform but Grafana, healthy."""
    started = starting_stack.healthy()
    if SHARED_FOLDER in os.environ:  # ./vigie test --all waits for it before it starts the browser's suite
        (Path(os.environ[SHARED_FOLDER]) / STACK_IS_UP).touch()
    return started


@pytest.fixture(scope="module")
def quiet_machine() -> None:
    """No other suite runs any more: for what is measured under a load of its own."""
    if SHARED_FOLDER in os.environ:
        with FileLock(Path(os.environ[SHARED_FOLDER]) / BROWSER_LOCK, timeout=OTHER_SUITES_SECONDS):
            pass


def kept_stack(folder: Path) -> Stack:
    record = folder / "stack.json"
    if record.is_file():
        found = json.loads(record.read_text())
        stack = Stack(found["project"], folder / "stack.env", found["port"], overrides=SETTINGS)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        stack = make_stack(folder, **SETTINGS)
        record.write_text(json.dumps({"project": stack.project, "port": stack.port}))
    return stack


@pytest.fixture(scope="session")
def platform(stack: Stack) -> Iterator[Platform]:
    """The first administrator, signed in."""
    with closing(Platform(stack.address, "admin", stack.admin_password)) as signed_in:
        yield signed_in


@pytest.fixture(scope="session")
def key(platform: Platform) -> str:
    """A dispatch centre's API key, known to prediction."""
    made = platform.post("/admin/keys", {"name": "Centre North", "role": "dispatcher", "centre": "default"})
    text: str = made["text"]
    wait_for(
        "the key to be known", lambda: platform.with_key(text, "GET", "/v1/use-cases").status_code == 200, seconds=30
    )
    return text


@pytest.fixture(scope="session")
def trained(platform: Platform) -> None:
    """Every use case is served by its champion: the platform has trained its first models by itself."""
    for use_case in USE_CASES:
        wait_for(
            f"the first champion of {use_case}",
            lambda name=use_case: champion_of(platform, name),  # type: ignore[misc]
            seconds=FIRST_TRAINING_SECONDS,
            every=2,
        )


@dataclass(frozen=True, slots=True)
class Retrained:
    version: int
    dag_run: str


@pytest.fixture(scope="session")
def asked_retraining(stack: Stack, platform: Platform, trained: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The run that makes a second version of fire_response from new files, and asks a person before it promotes."""
    folder = bring_files(stack, tmp_path_factory.mktemp("files"))
    # The key makes it the same run on a stack that was kept.
    return _retrain(platform, USE_CASE, folder, "the-day-of-the-suite", require_approval=True)


@pytest.fixture(scope="session")
def second_trainings(
    stack: Stack,
    platform: Platform,
    trained: None,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> dict[str, str]:
    """Use case -> its retraining on other files, all asked for at once; nothing for those that have two versions."""
    of_the_day = {USE_CASE} if collected(request, "test_a_day") else set()
    if of_the_day:
        request.getfixturevalue("asked_retraining")
    runs = {}
    for use_case in use_case_registry.names():
        wait_for(
            f"the first champion of {use_case}",
            lambda name=use_case: champion_of(platform, name),  # type: ignore[misc]
            seconds=FIRST_TRAINING_SECONDS,
            every=2,
        )
        if use_case in of_the_day or len(platform.get(f"/admin/models/{use_case}")["versions"]) > 1:
            continue
        folder = bring_simulated_files(
            stack, use_case, tmp_path_factory.mktemp(use_case), seed=SECOND_SEED, share=SECOND_SHARE
        )
        runs[use_case] = _retrain(platform, use_case, folder, f"second-training-of-{use_case}", require_approval=False)
    return runs


def _retrain(platform: Platform, use_case: str, folder: str, key: str, *, require_approval: bool) -> str:
    asked = {"use_case": use_case, "source": folder, "require_approval": require_approval}
    run: str = platform.ask("POST", "/admin/retrainings", json=asked, headers={"Idempotency-Key": key})["id"]
    return run


def retraining_succeeded(platform: Platform, use_case: str, run: str) -> None:
    wait_for(
        f"the second model of {use_case}",
        lambda: platform.state_of(run, "succeeded"),
        seconds=RETRAINING_SECONDS,
        every=2,
    )


def collected(request: pytest.FixtureRequest, module: str) -> bool:
    """Whether tests of that module run in this session."""
    return any(item.path.stem == module for item in request.session.items)


@pytest.fixture(scope="session")
def retrained(platform: Platform, asked_retraining: str, request: pytest.FixtureRequest) -> Retrained:
    """A second version of fire_response: from new files, through Airflow, approved by a person. The other use cases
    train beside it what is looked at later."""
    if collected(request, "test_five_use_cases"):
        request.getfixturevalue("second_trainings")
    run = asked_retraining
    waiting = wait_for(
        "the question for approval",
        lambda: platform.state_of(run, "awaiting_approval", "succeeded"),
        seconds=RETRAINING_SECONDS,
        every=2,
    )
    if waiting["state"] == "awaiting_approval":
        assert champion_of(platform, USE_CASE) == "1", "nothing was promoted before somebody had approved it"
        platform.post(f"/admin/retrainings/{run}/approve")
    ended = wait_for("the end", lambda: platform.state_of(run, "succeeded"), seconds=RETRAINING_SECONDS)
    return Retrained(platform.get(f"/admin/models/{USE_CASE}")["versions"][0]["number"], ended["dag_run_id"])


@pytest.fixture(scope="session")
def trainings_ended(platform: Platform, retrained: Retrained, request: pytest.FixtureRequest) -> None:
    """No training is under way that a promotion would have to wait for."""
    if collected(request, "test_five_use_cases"):
        for use_case, run in request.getfixturevalue("second_trainings").items():
            retraining_succeeded(platform, use_case, run)


@pytest.fixture(scope="session")
def two_versions(platform: Platform, retrained: Retrained) -> tuple[int, int]:
    """Another version of fire_response, and its champion."""
    models = platform.get(f"/admin/models/{USE_CASE}")
    others = [version["number"] for version in models["versions"] if version["number"] != models["champion"]]
    return others[0], models["champion"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """What the containers said while a test failed, before the stack is gone."""
    report = yield
    if report.failed and isinstance(item, pytest.Function) and isinstance(item.funcargs.get("stack"), Stack):
        failed: Stack = item.funcargs["stack"]
        states = failed.compose("ps", "--all", check=False).stdout.decode(errors="replace")
        lines = [line for line in failed.logs().splitlines() if '"level": "error"' in line or "Traceback" in line]
        sys.stderr.write("\n".join([f"\n{item.nodeid} failed in {failed.project}:", states, *lines[-30:], ""]))
    return report
