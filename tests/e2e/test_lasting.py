"""What has to last: through a stop and a start, through more replicas, through the loss of every volume."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.core.settings import CHECKOUT
from tests.e2e.platform_client import USE_CASES, Platform, champion_of, example_calls, wait_for
from tests.e2e.stack import Stack

pytestmark = pytest.mark.docker


def test_three_replicas_share_the_calls(stack: Stack, platform: Platform, key: str, trained: None) -> None:
    stack.up("--scale", "prediction=3", "--no-recreate")
    assert len(stack.containers("prediction")) == 3
    call = example_calls()[0]
    for _ in range(60):
        assert platform.with_key(key, "POST", call["path"], json=call["body"]).status_code == 200
    answered = [stack.predictions_of(container) for container in stack.containers("prediction")]
    assert all(number >= 10 for number in answered), answered
    stack.up()


def test_a_second_start_loses_nothing(stack: Stack, platform: Platform, key: str, trained: None) -> None:
    before = what_is_kept(stack, platform)
    stack.down()
    stack.up()
    assert what_is_kept(stack, platform) == before
    call = example_calls()[0]
    answer = platform.with_key(key, "POST", call["path"], json=call["body"])
    assert answer.status_code == 200, "keys made before are still good"


def test_a_backup_brings_back_what_the_volumes_held(
    stack: Stack, platform: Platform, key: str, trained: None, tmp_path: Path
) -> None:
    before = what_is_kept(stack, platform)
    backup = tmp_path / "backup"
    vigie(stack, "backup", str(backup))
    stack.down("--volumes")
    vigie(stack, "restore", str(backup))
    stack.up()
    assert what_is_kept(stack, platform) == before
    for use_case in USE_CASES:
        wait_for("its champion", lambda name=use_case: champion_of(platform, name), seconds=90)  # type: ignore[misc]
    call = example_calls()[0]
    assert platform.with_key(key, "POST", call["path"], json=call["body"]).json()["source"] == "champion"


def what_is_kept(stack: Stack, platform: Platform) -> dict[str, Any]:
    """Models with their aliases, keys, and how many predictions, outcomes and audit entries there are up to now."""
    wait_for("no job under way", lambda: not jobs_under_way(stack), seconds=300)
    models = {name: platform.get(f"/admin/models/{name}") for name in USE_CASES}
    return {
        "versions": {name: {v["number"]: sorted(v["aliases"]) for v in m["versions"]} for name, m in models.items()},
        "keys": sorted(key["id"] for key in platform.get("/admin/keys")),
        "outcomes": stack.query("vigie", "SELECT count(*) FROM outcomes"),
        "runs": stack.query("vigie", "SELECT id FROM admin_runs ORDER BY id"),
        "printed tables": platform.anonymous("GET", f"/baseline/{USE_CASES[0]}.en.html").text,
        "airflow": stack.query("airflow", "SELECT run_id FROM dag_run WHERE run_type = 'manual' ORDER BY run_id"),
    }


def jobs_under_way(stack: Stack) -> list[str]:
    return stack.query("vigie", "SELECT id FROM jobs WHERE state IN ('queued', 'running')")


def vigie(stack: Stack, *arguments: str) -> None:
    """The command line, as an administrator on the stack's machine calls it."""
    of_this_stack = ("--project", stack.project, "--env-file", str(stack.settings_file))
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments, *of_this_stack],
        cwd=CHECKOUT,
        env={**os.environ, "COMPOSE_PROFILES": ",".join(stack.profiles)},
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
