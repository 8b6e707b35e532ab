"""``./vigie demo``, interrupted by the user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.core.settings import CHECKOUT

pytestmark = pytest.mark.slow

TRAINING_WITHIN = 120.0
ENDED_WITHIN = 60.0


def test_ending_the_demo_ends_the_stages_that_run_side_by_side(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with (tmp_path / "said").open("wb") as said:
        demo = subprocess.Popen(
            # What a shell runs in the background ignores Ctrl-C, and hands that on: these tests may be run so.
            ["env", "--default-signal=INT", sys.executable, "-m", "services.cli", "demo"],
            cwd=CHECKOUT,
            env={**os.environ, "VIGIE_HOME": str(home), "PYTHONPATH": str(CHECKOUT)},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        limit = time.monotonic() + TRAINING_WITHIN
        while len(at_work_in(home)) < 2:
            assert demo.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < limit, "no two stages came up"
            time.sleep(0.2)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(ENDED_WITHIN) != 0
    finally:
        demo.kill()
        demo.wait()
    assert at_work_in(home) == []
    assert "evaluate: running" not in (tmp_path / "said").read_text(), "nobody waited for the stages to go through"


def at_work_in(home: Path) -> list[str]:
    """Stages that run below ``home``: processes started in one of its workspaces."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if (process / "cwd").readlink().is_relative_to(home) and "-m services." in command:
                found.append(command)
        except (OSError, ValueError):
            continue  # not a process, or one that has just ended
    return found
