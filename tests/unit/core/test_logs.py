"""Logs are JSON lines and hold nothing that a caller sent."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from services.core.settings import CHECKOUT

PROGRAM = """
import logging, sys, structlog
from services.core.logs import configure_logging
configure_logging("test", log_format=sys.argv[1])
def answer(address):
    raise ValueError("the model failed")
try:
    answer("12 Secret Street")
except ValueError:
    structlog.get_logger().error("model failed", request_id="r-1", exc_info=True)
logging.getLogger("a.library").warning("from the standard library")
"""


def _run(log_format: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return done.stderr


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_is_logged_without_the_values_of_local_variables(log_format: str) -> None:
    logged = _run(log_format)
    assert "the model failed" in logged
    assert "Secret" not in logged.replace('answer("12 Secret Street")', "")


def test_every_line_is_one_json_object_with_service_time_and_level() -> None:
    lines = [json.loads(line) for line in _run("json").splitlines()]
    assert [line["event"] for line in lines] == ["model failed", "from the standard library"]
    assert all({"service", "timestamp", "level"} <= set(line) for line in lines)
    assert lines[0]["request_id"] == "r-1"
