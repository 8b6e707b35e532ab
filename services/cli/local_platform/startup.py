"""Starts services in parallel, each as soon as its dependencies are ready."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import httpx

from services.cli.local_platform import secrets
from services.cli.local_platform.supervisor import ServiceState, Supervisor
from services.core.errors import VigieError

ReadyCallback = Callable[[ServiceState, float], None]
POLL_SECONDS = 0.5
CHECK_COMMAND_SECONDS = 3.0
"""Interval of health-check commands, which cost more than HTTP checks."""


def start_services(processes: Supervisor, *, wait: float, tell: ReadyCallback) -> None:
    """Start the services that are not running and wait until all are ready; ``tell`` is called for each.

    Raises:
        VigieError: a service exited or did not become ready; the message has the end of its log, and all services
            were stopped.
    """
    began, ready, checked = time.monotonic(), set[str](), dict[str, float]()

    def is_ready(state: ServiceState) -> bool:
        if state.check and time.monotonic() - checked.get(state.name, -CHECK_COMMAND_SECONDS) < CHECK_COMMAND_SECONDS:
            return False
        checked[state.name] = time.monotonic()
        return state.done or (state.running and not state.once and is_healthy(processes, state))

    while True:
        waiting = []
        for state in processes.states():
            if state.name in ready:
                continue
            if is_ready(state):
                ready.add(state.name)
                tell(state, time.monotonic() - began)
            elif state.failed:
                processes.stop()
                raise _startup_error(processes, state, "ended")
            else:
                waiting.append(state)
        if not waiting:
            return
        if time.monotonic() - began > wait:
            processes.stop()
            raise _startup_error(processes, waiting[0], f"did not become healthy within {wait:.0f} s")
        for state in waiting:
            if state.status in {"STOPPED", "EXITED"} and ready.issuperset(state.after):
                processes.begin(state.name)
        time.sleep(POLL_SECONDS)


def is_healthy(processes: Supervisor, state: ServiceState) -> bool:
    """Whether a running service reports that it is ready."""
    if state.health:
        password = secrets.value(processes.home, state.health_password) if state.health_password else ""
        return answers_ok(state.health, auth=(state.health_user, password) if password else None)
    if state.check:
        command = processes.with_environment(state.name, state.check)
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
    return state.running


def answers_ok(url: str, *, auth: tuple[str, str] | None = None) -> bool:
    try:
        return httpx.get(url, auth=auth, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _startup_error(processes: Supervisor, state: ServiceState, how: str) -> VigieError:
    log = processes.log(state.name)
    lines = log.read_text(errors="replace").splitlines()[-12:] if log.is_file() else ["(no log)"]
    return VigieError(
        f"{state.name} {how}. The end of its log:\n" + "\n".join(lines),
        action="Mend the cause and run ./vigie up again; ./vigie doctor may know it.",
    )
