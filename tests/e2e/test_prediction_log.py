"""Every answered call is in the log once, whatever was down or killed meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.load.steady import steady_load
from tests.e2e.platform_client import example_calls, wait_for
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("quiet_machine")]

DATABASE_AWAY_SECONDS = 60.0
DELIVERED_SECONDS = 120.0


def test_none_is_lost_and_none_doubled_while_the_database_is_away_and_prediction_is_killed(
    stack: Stack, trained: None, key: str, tmp_path: Path
) -> None:
    stack.up()
    with steady_load(stack.address, key, example_calls(), tmp_path / "load", rate=20) as load:
        load.wait_for_calls(40)
        stack.compose("kill", "postgres")
        away_until = time.monotonic() + DATABASE_AWAY_SECONDS
        load.wait_for_calls(200, seconds=90)
        stack.kill("prediction", start_again=True)
        load.wait_for_calls(200, seconds=90)
        time.sleep(max(0.0, away_until - time.monotonic()))
        stack.compose("start", "postgres")
        load.wait_for_calls(100, seconds=90)
    answered = {answer.request_id for answer in load.answers() if not answer.failure}
    assert len(answered) > 500

    def all_logged() -> bool:
        return answered <= set(logged_requests(stack))

    wait_for("every answered call in the log", all_logged, seconds=DELIVERED_SECONDS, every=3)
    doubled = {request: times for request, times in Counter(logged_requests(stack)).items() if times > 1}
    assert doubled == {}


def logged_requests(stack: Stack) -> list[str]:
    """The request ids of all logged predictions, repeated if they are there twice."""
    return stack.query("vigie", "SELECT request_id FROM predictions")
