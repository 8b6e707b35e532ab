"""Local processes under supervisord: real ones, one supervisor per home."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.cli.platform import answers, free_port
from services.cli.processes import Processes, Program, wait_until
from services.core.home import Home


def _server(port: int, name: str = "files") -> Program:
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    return Program(name, command, port, f"http://127.0.0.1:{port}/", {"MARK": 'a "quoted" 100% value'})


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    kept = Processes(Home(tmp_path / "home"))
    yield kept
    kept.stop(patience=10)


def test_a_started_program_answers_and_a_stopped_one_is_gone(processes: Processes) -> None:
    port = free_port(0)
    processes.start([_server(port)])
    assert wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), seconds=15)
    (state,) = processes.states()
    assert state.running
    assert processes.owns(port)
    assert psutil.Process(state.pid).environ()["MARK"] == 'a "quoted" 100% value'
    assert processes.stop()
    assert not psutil.pid_exists(state.pid)
    assert processes.pid() is None
    assert not processes.stop()


def test_a_program_that_dies_is_started_again(processes: Processes) -> None:
    port = free_port(0)
    processes.start([_server(port)])
    assert wait_until(lambda: processes.states()[0].running, seconds=15)
    first = processes.states()[0].pid
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: processes.states()[0].pid not in {0, first}, seconds=15)
    assert wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), seconds=15)


def test_two_homes_run_side_by_side(processes: Processes, tmp_path: Path) -> None:
    other = Processes(Home(tmp_path / "other"))
    try:
        ports = [free_port(0), free_port(0)]
        processes.start([_server(ports[0])])
        other.start([_server(ports[1])])
        assert wait_until(lambda: all(answers(f"http://127.0.0.1:{port}/") for port in ports), seconds=15)
        other.stop()
        assert answers(f"http://127.0.0.1:{ports[0]}/")
    finally:
        other.stop()


def test_a_taken_port_is_replaced_by_a_free_one(processes: Processes) -> None:
    port = free_port(0)
    processes.start([_server(port)])
    assert wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), seconds=15)
    assert free_port(port) != port
