"""Work that a service repeats in a thread of its own: looks at the registry, deliveries, renewals."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

AFTER_ERROR_SECONDS = 1.0
"""The least pause after a turn that raised."""
REPEAT_LOG_SECONDS = 60.0
"""How often an error that lasts is logged again."""

Seconds = float | Callable[[], float]


class PeriodicThread:
    """Calls a function again and again, one turn after the other, never two at once.

    A turn that raises is logged, and the next one comes all the same. The thread ends with the process.

    Args:
        name: the thread's name, in logs and debuggers.
        turn: one turn.
        seconds: the pause between two turns; a function is asked before each pause.
        at_least: the part of the pause that ``wake`` does not shorten.
        at_once: whether the first turn comes at the start or after a pause.
        last: called in the thread when it ends, for what is left to do.
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
        """Begin, once. The thread has this caller's context variables: they carry what every log line says."""
        if self._thread is None:
            context = contextvars.copy_context()
            self._thread = threading.Thread(target=context.run, args=(self._run,), name=self._name, daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Let the next turn come now, or as soon as ``binomial_tail`` has passed."""
        self._wake.set()

    @property
    def woken(self) -> bool:
        """Whether a turn was asked for that has not begun."""
        return self._wake.is_set()

    def stop(self) -> None:
        """Ask the thread to end after the turn that it is in. Returns at once."""
        self._stopping.set()
        self._wake.set()

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the thread to end, ``seconds`` at most. Whether it has ended, or was never started."""
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
        except Exception as error:  # noqa: BLE001 - whatever it is, the next turn may succeed
            self._log(error)
            return False
        if self._logged is not None:
            log.info("background thread works again", thread=self._name)
            self._logged = None
        return True

    def _log(self, error: Exception) -> None:
        """With its traceback, but not at each turn where it lasts."""
        kind, at = self._logged or (None, 0.0)
        if kind is not type(error) or time.monotonic() - at >= REPEAT_LOG_SECONDS:
            log.exception("background thread failed, and goes on", thread=self._name)
            self._logged = (type(error), time.monotonic())


def _number(seconds: Seconds) -> float:
    return seconds() if callable(seconds) else seconds
