"""Local processes under supervisord: real ones, one supervisor per home."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.cli.local_platform.ports import free_port
from services.cli.local_platform.service_specs import ServiceSpec
from services.cli.local_platform.startup import answers_ok, start_services
from services.cli.local_platform.supervisor import Supervisor, wait_until
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from tests.processes import ODD_NAME

SECRET = "a-secret-that-shows-nowhere"


def _server(port: int, name: str = "files") -> ServiceSpec:
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    return ServiceSpec(
        name, command, port, f"http://127.0.0.1:{port}/", {"MARK": "a \"quoted\" 100% 'value'", "KEY": SECRET}
    )


def _python(name: str, code: str, **more: object) -> ServiceSpec:
    return ServiceSpec(name, [sys.executable, "-c", code], **more)  # type: ignore[arg-type]


def _start(processes: Supervisor, *programs: ServiceSpec) -> list[str]:
    """Start and wait; the names in the order in which they became ready."""
    ready: list[str] = []
    processes.start(programs)
    start_services(processes, wait=20, tell=lambda state, _: ready.append(state.name))
    return ready


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Supervisor]:
    kept = Supervisor(VigiePaths(tmp_path / ODD_NAME))
    yield kept
    kept.stop(patience=10)


def test_a_started_program_answers_and_a_stopped_one_is_gone(processes: Supervisor) -> None:
    port = free_port(0)
    _start(processes, _server(port))
    assert answers_ok(f"http://127.0.0.1:{port}/")
    (state,) = processes.states()
    assert state.running
    assert processes.owns(port)
    process = psutil.Process(state.pid)
    assert process.environ()["MARK"] == "a \"quoted\" 100% 'value'"

    # what a program is told is for it alone
    assert not any(SECRET in argument for argument in process.cmdline())
    holders = [file for file in processes.home.processes.iterdir() if SECRET in file.read_text()]
    assert [file.name for file in holders] == ["files.env"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
    # what it writes is for this user too
    assert stat.S_IMODE(processes.log("files").stat().st_mode) == 0o600

    assert processes.stop()
    assert not psutil.pid_exists(state.pid)
    assert processes.pid() is None
    assert not processes.stop()


def test_a_program_that_dies_is_started_again(processes: Supervisor) -> None:
    port = free_port(0)
    _start(processes, _server(port))
    first = processes.states()[0].pid
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: processes.states()[0].pid not in {0, first}, seconds=15)
    assert wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/"), seconds=15)


def test_two_homes_run_side_by_side_and_a_taken_port_is_replaced(processes: Supervisor, tmp_path: Path) -> None:
    other = Supervisor(VigiePaths(tmp_path / "other"))
    try:
        ports = [free_port(0), free_port(0)]
        _start(processes, _server(ports[0]))
        _start(other, _server(ports[1]))
        assert free_port(ports[0]) != ports[0]
        other.stop()
        assert answers_ok(f"http://127.0.0.1:{ports[0]}/")
    finally:
        other.stop()


def test_a_program_starts_when_those_before_it_are_ready(processes: Supervisor, tmp_path: Path) -> None:
    made = tmp_path / "made"
    prepare = _python("prepare", f"import time; time.sleep(0.7); open({str(made)!r}, 'w')", once=True)
    needs = f"import os, time; assert os.path.exists({str(made)!r}); time.sleep(60)"
    checks = ["/bin/sh", "-c", f"test -e {made}"]
    assert _start(
        processes,
        _python("last", needs, after=("server",), check=checks),
        _python("server", needs, after=("prepare",), check=checks),
        prepare,
    ) == ["prepare", "server", "last"]
    prepared = next(state for state in processes.states() if state.name == "prepare")
    assert prepared.done


def test_a_program_that_fails_stops_the_start_and_its_log_says_why(processes: Supervisor) -> None:
    port = free_port(0)
    with pytest.raises(VigieError, match="no such database"):
        _start(processes, _server(port), _python("prepare", "raise SystemExit('no such database')", once=True))
    assert processes.pid() is None
    assert not answers_ok(f"http://127.0.0.1:{port}/")


STUBBORN = """
import signal, subprocess, sys, time
for one in (signal.SIGTERM, signal.SIGINT):
    signal.signal(one, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""


def test_stopping_leaves_nothing_behind_not_even_what_ignores_it_or_left_its_group(
    processes: Supervisor, tmp_path: Path
) -> None:
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    processes.start([ServiceSpec("stubborn", [sys.executable, str(script)], grace=1)])
    processes.begin("stubborn")
    log = processes.log("stubborn")
    assert wait_until(lambda: log.is_file() and "ready" in log.read_text(), seconds=15)
    assert len(processes.orphans()) == 2
    processes.stop()
    assert processes.orphans() == []


def test_what_a_killed_supervisor_left_running_is_ended_by_the_next_start(processes: Supervisor) -> None:
    port = free_port(0)
    _start(processes, _server(port))
    pid = processes.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: processes.pid() is None, seconds=5)
    orphan = processes.orphans()[0].pid
    _start(processes, _server(port))
    assert processes.states()[0].pid != orphan
    assert [process.pid for process in processes.orphans()] == [processes.states()[0].pid]
