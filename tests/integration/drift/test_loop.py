"""The loop on local processes: gateway, prediction, stage services, drift and simulator on SQLite, without Airflow.

In real time, so they are no part of ``./vigie test --all``: they run where ``VIGIE_LOOP_IN_REAL_TIME`` is set.
``tests/e2e/test_closed_loop.py`` plays the same with the same driver on the Compose stack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.closed_loop.driver import play
from tests.closed_loop.local import local_platform
from tests.closed_loop.poison import poisoned
from tests.closed_loop.record import write

ASKED_FOR = "VIGIE_LOOP_IN_REAL_TIME"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get(ASKED_FOR),
        reason="plays a month in real time: twenty minutes and more on two cores that do nothing else, and has not "
        f"passed on a busy machine; {ASKED_FOR}=1 runs it",
    ),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A new one for each: calls of another simulation would lie in the same days."""
    return tmp_path / "home"


def test_a_station_closes_and_the_loop_closes(home: Path) -> None:
    with local_platform(home, "fire_response") as platform:
        made = play(platform, "fire_response", "station-closed", rate=20, seconds=1_080, speed=2_400, look_every=10)
        write(made)
        assert made.area is not None
        assert made.area[0] == "station"
        assert made.retrainings
        assert made.promotions
        assert made.fallen_back >= 0.5
        assert made.calls["failed"] == 0, made.calls


def test_poisoned_outcomes_do_not_promote_a_worse_model(home: Path) -> None:
    with local_platform(home, "fire_response") as platform:
        for kind in ("shuffled", "short"):
            found = poisoned(platform, "fire_response", kind)
            assert found.held, found
            assert found.error_after <= 1.02 * found.error_before
