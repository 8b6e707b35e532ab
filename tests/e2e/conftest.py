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

from tests.e2e.engine import ensure_engine
from tests.e2e.platform_client import USE_CASES, Platform, champion_of, wait_for
from tests.e2e.real_files import USE_CASE, bring_files
from tests.e2e.stack import Stack, make_stack, running

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
KEPT_STACK = "VIGIE_E2E_STACK"
FIRST_TRAINING_SECONDS = 1_200
RETRAINING_SECONDS = 1_200
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
    ensure_engine()
    make_stack(tmp_path_factory.mktemp("build")).build()
    return tuple(f"vigie/{name}:local" for name in ("edge", "serving", "ml", "airflow"))


@pytest.fixture(scope="session")
def stack(images: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole platform but Grafana, healthy. ``VIGIE_E2E_STACK=FOLDER`` keeps it running with its settings in
    that folder, and takes it from there the next time: for working on a test."""
    if os.environ.get(KEPT_STACK):
        yield kept_stack(Path(os.environ[KEPT_STACK]))
        return
    folder = tmp_path_factory.mktemp("stack")
    with running(make_stack(folder, **SETTINGS), folder) as started:
        yield started


def kept_stack(folder: Path) -> Stack:
    record = folder / "stack.json"
    if record.is_file():
        found = json.loads(record.read_text())
        stack = Stack(found["project"], folder / "stack.env", found["port"], overrides=SETTINGS)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        stack = make_stack(folder, **SETTINGS)
        record.write_text(json.dumps({"project": stack.project, "port": stack.port}))
    stack.up()
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
def retrained(stack: Stack, platform: Platform, trained: None, tmp_path_factory: pytest.TempPathFactory) -> Retrained:
    """A second version of fire_response: from new files, through Airflow, approved by a person."""
    folder = bring_files(stack, tmp_path_factory.mktemp("files"))
    asked = {"use_case": USE_CASE, "source": folder, "require_approval": True}
    # The key makes it the same run on a stack that was kept.
    answer = platform.ask("POST", "/admin/retrainings", json=asked, headers={"Idempotency-Key": "the-day-of-the-suite"})
    run = answer["id"]
    waiting = wait_for(
        "the question for approval",
        lambda: platform.state_of(run, "awaiting_approval", "succeeded"),
        seconds=RETRAINING_SECONDS,
        every=2,
    )
    if waiting["state"] == "awaiting_approval":
        assert champion_of(platform, USE_CASE) == "1", "nothing was promoted before somebody had approved it"
        platform.post(f"/admin/retrainings/{run}/approve")
    ended = wait_for("the end", lambda: platform.state_of(run, "succeeded"), seconds=180)
    return Retrained(platform.get(f"/admin/models/{USE_CASE}")["versions"][0]["number"], ended["dag_run_id"])


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
