"""Starts services in parallel, each as soon as its dependencies are ready."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import httpx

from services.cli.local_platform import secrets
from services.cli.local_platform.service_specs import ServiceSpec
from services.cli.local_platform.supervisor import ServiceState, Supervisor
from services.core.errors import VigieError

ReadyCallback = Callable[[ServiceState, float], None]
POLL_SECONDS = 0.5
CHECK_COMMAND_SECONDS = 3.0
"""Interval of health-check commands, which cost more than HTTP checks."""


LAST_LINE = 300
"""Maximum length of a log's last line in an error."""


def start_services(processes: Supervisor, *, wait: float, tell: ReadyCallback) -> None:
    """Start the services that are not running and wait until all are ready; ``tell`` is called for each.

    Raises:
        VigieError: a service exited or did not become ready; the message has the last line of its log, and all
            services were stopped.
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


class BackgroundStart:
    """Starts services while the caller does something else.

    Args:
        processes: the home's supervisor.
        specs: makes the list of services when the start begins.
        tell: called for each service that is ready.
    """

    def __init__(
        self, processes: Supervisor, specs: Callable[[], Sequence[ServiceSpec]], *, wait: float, tell: ReadyCallback
    ) -> None:
        self._processes, self._specs, self._wait, self._tell = processes, specs, wait, tell
        self._pool = ThreadPoolExecutor(1)
        self._started: Future[None] | None = None
        self._ended, self._spawning = threading.Event(), threading.Lock()

    def begin(self) -> None:
        if self._started is None:
            self._started = self._pool.submit(self._start)

    def _start(self) -> None:
        with self._spawning:
            if self._ended.is_set():
                return
            self._processes.start(self._specs())
        start_services(self._processes, wait=self._wait, tell=self._tell)

    def result(self) -> None:
        """Wait until all services are ready.

        Raises:
            VigieError: one did not start.
        """
        self.begin()
        assert self._started is not None
        self._started.result()

    def end(self) -> None:
        """Start nothing from now on; what was started is stopped by the caller."""
        with self._spawning:
            self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)


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
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()] if log.is_file() else []
    last = next((line for line in reversed(lines) if line), "no log")
    return VigieError(
        f"{state.name} {how}: {last[:LAST_LINE]}",
        action=f"See {log}, mend the cause and run ./vigie up again; ./vigie doctor may know it.",
    )
