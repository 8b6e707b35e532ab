"""A job that runs, seen from the service: its keeper process, and what that tells."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.core.jobs.job import Job
from services.core.jobs.messages import MOST_LINE_BYTES, PROGRESS_LINES, Message, Reason, decode
from services.core.jobs.outcome import Outcome, failed
from services.core.jobs.queue import INTERRUPTED, cancelled
from services.core.jobs.states import State

_SECRETS = frozenset({"VIGIE_SERVICE_TOKEN"})
"""Variables that jobs have no use for, but those of a service that says so."""


@dataclass(frozen=True, slots=True)
class Limits:
    memory_mb: int
    seconds: float


class Running:
    def __init__(
        self,
        job: Job,
        module: str,
        limits: Limits,
        *,
        ended: Callable[[], None],
        secrets: frozenset[str] = frozenset(),
    ) -> None:
        """Start ``job`` with the function that ``module.JOBS`` has for its step. ``ended`` is called, in
        another thread, when all of its processes have. ``secrets`` are variables that it needs all the same."""
        self.job = job
        self.limits = limits
        self.peak_mb = 0
        self._changed = True
        self._lock = threading.Lock()
        self._progress = list(job.progress)
        self._log_tail = ""
        self._result: dict[str, Any] | None = None
        self._error: dict[str, str] | None = None
        self._reason: Reason = ""
        self._code: int | None = None
        self._over = ended
        self.ended = threading.Event()
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "services.core.jobs.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name not in _SECRETS - secrets},
        )
        self._send(
            {
                "id": job.id,
                "service": job.service,
                "use_case": job.use_case,
                "step": job.step,
                "options": job.options,
                "requested_by": job.requested_by,
                "module": module,
                "memory_mb": limits.memory_mb,
                "seconds": limits.seconds,
            }
        )
        threading.Thread(target=self._listen, name=f"job {job.id}", daemon=True).start()

    def cancel(self) -> None:
        """Ask the keeper to end the job's processes; it takes a few seconds at most."""
        self._send({"cancel": True})

    def changes(self) -> dict[str, Any]:
        """``progress`` and ``log_tail``, where they have changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, False
            return self._told() if changed else {}

    def told(self) -> dict[str, Any]:
        with self._lock:
            return self._told()

    @property
    def outcome(self) -> Outcome:
        """How it ended, once ``ended`` is set."""
        if self._reason in {"memory", "time"}:
            return self._beyond_limit()
        if self._result is not None:
            return Outcome(State.SUCCEEDED, self._result)
        if self._reason == "cancelled":
            return Outcome(State.CANCELLED, error=cancelled())
        if self._reason == "orphaned":
            return Outcome(State.INTERRUPTED, error=dict(INTERRUPTED))
        if self._error is not None:
            return Outcome(State.FAILED, error=self._error)
        how = "without a word" if self._code is None else f"with code {self._code}"
        if self._code == -signal.SIGKILL:
            how = "by force, as the system does where memory runs out,"
        return failed(
            f"The job's process was ended {how} before it had a result.", action="See its log; retry the job."
        )

    def _beyond_limit(self) -> Outcome:
        if self._reason == "memory":
            return failed(
                f"The job needed more than {self.limits.memory_mb} MB of memory and was ended.",
                expected="at most VIGIE_JOB_MEMORY_MB",
                action="Give jobs more memory, or less data.",
            )
        return failed(
            f"The job did not end within {self.limits.seconds:g} seconds and was ended.",
            expected="at most VIGIE_JOB_SECONDS",
            action="Give jobs more time, or see in its log what it waited for.",
        )

    def _told(self) -> dict[str, Any]:
        return {"progress": self._progress[-PROGRESS_LINES:], "log_tail": self._log_tail}

    def _send(self, message: dict[str, Any]) -> None:
        assert self._keeper.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended, or its pipe was closed after that
            self._keeper.stdin.write(json.dumps(message).encode() + b"\n")
            self._keeper.stdin.flush()

    def _listen(self) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        with self._keeper.stdout as lines:
            while line := lines.readline(MOST_LINE_BYTES):
                self._hear(decode(line))
        self._keeper.stdin.close()
        self._keeper.wait()
        self.ended.set()
        self._over()

    def _hear(self, message: Message) -> None:
        with self._lock:
            self._changed = True
            if "progress" in message:
                self._progress.append(message["progress"])
                del self._progress[:-PROGRESS_LINES]
            elif "log_tail" in message:
                # Databases refuse zero bytes in text.
                self._log_tail = message["log_tail"].replace("\0", "\N{REPLACEMENT CHARACTER}")
            elif "result" in message:
                self._result = message["result"]
            elif "error" in message:
                self._error = message["error"]
            elif "ended" in message:
                self.peak_mb, self._reason, self._code = message["peak_mb"], message["reason"], message["ended"]
