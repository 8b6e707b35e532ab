"""Runs a function periodically in a background thread: polling, deliveries, renewals."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

AFTER_ERROR_SECONDS = 1.0
"""Minimum pause after a turn that raised, seconds."""
REPEAT_LOG_SECONDS = 60.0
"""Interval of logging a persistent error again, seconds."""

Seconds = float | Callable[[], float]


class PeriodicThread:
    """Calls a function periodically in a daemon thread, never twice at once.

    An exception is logged and does not end the thread.

    Args:
        name: the thread's name, in logs and debuggers.
        turn: the function.
        seconds: pause between two turns; a callable is evaluated before each pause.
        at_least: the part of the pause that ``wake`` does not shorten.
        at_once: whether the first turn runs at the start or after a pause.
        last: called in the thread when it ends, for clean-up.
    """

    def __init__(
        self,
        name: str,
        turn: Callable[[], object],
        seconds: Seconds,
        *,
        at_least: Seconds = 0.0,
        at_once: bool = True,
        last: Callable[[], object] | None = None,
    ) -> None:
        self._name = name
        self._turn = turn
        self._seconds = seconds
        self._at_least = at_least
        self._at_once = at_once
        self._last = last
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._logged: tuple[type[Exception], float] | None = None

    def start(self) -> None:
        """Start the thread, once. It inherits the caller's context variables, which carry the log context."""
        if self._thread is None:
            context = contextvars.copy_context()
            self._thread = threading.Thread(target=context.run, args=(self._run,), name=self._name, daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Run the next turn now, or as soon as ``at_least`` has passed."""
        self._wake.set()

    @property
    def woken(self) -> bool:
        """Whether a requested turn has not started yet."""
        return self._wake.is_set()

    def stop(self) -> None:
        """Ask the thread to end after the current turn. Returns at once."""
        self._stopping.set()
        self._wake.set()

    def join(self, seconds: float | None = None) -> bool:
        """Wait up to ``seconds`` for the thread to end. Returns whether it has ended or was never started."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self.alive

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        failed = False
        if not self._at_once:
            self._pause(failed=False)
        while not self._stopping.is_set():
            self._wake.clear()
            failed = not self._succeeds(self._turn)
            self._pause(failed=failed)
        if self._last is not None:
            self._succeeds(self._last)

    def _pause(self, *, failed: bool) -> None:
        least = max(_number(self._at_least), AFTER_ERROR_SECONDS if failed else 0.0)
        whole = _number(self._seconds)
        if not self._stopping.wait(least):
            self._wake.wait(max(0.0, whole - least))

    def _succeeds(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - any error: the next turn may succeed
            self._log(error)
            return False
        if self._logged is not None:
            log.info("background thread works again", thread=self._name)
            self._logged = None
        return True

    def _log(self, error: Exception) -> None:
        """Log an error with its traceback; a persistent one not at every turn."""
        kind, at = self._logged or (None, 0.0)
        if kind is not type(error) or time.monotonic() - at >= REPEAT_LOG_SECONDS:
            log.exception("background thread failed, and goes on", thread=self._name)
            self._logged = (type(error), time.monotonic())


def _number(seconds: Seconds) -> float:
    return seconds() if callable(seconds) else seconds
