"""Supervisor of one job: ``python -m services.core.jobs.supervisor``, a small process between service and job.

It runs the job as subreaper, samples the memory of its process tree four times a second, and kills the tree on a limit,
on cancellation or when the service exits (its pipe is closed). No process of a job outlives it. It also defines the
messages of the pipe: one JSON object a line."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal, TypedDict

import psutil

MAX_LINE_BYTES = 512 * 1_024
MAX_RESULT_BYTES = 256 * 1_024
TAIL_CHARACTERS = 16_000
PROGRESS_LINES = 200
PROGRESS_CHARACTERS = 500

EndReason = Literal["", "memory", "time", "cancelled", "orphaned"]


class JobMessage(TypedDict, total=False):
    """A message with any of these fields; ``ended`` is in the last one."""

    progress: str
    log_tail: str
    result: dict[str, Any]
    error: dict[str, str]
    peak_mb: int
    reason: EndReason
    ended: int


def encode_message(message: JobMessage) -> bytes:
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def decode_message(line: bytes) -> JobMessage:
    """Decode a line of ``encode_message``; anything else is an empty message."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return JobMessage(**found) if isinstance(found, dict) else {}


class LogTail:
    """The last characters of an output."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def add(self, text: str) -> None:
        self.text = (self.text + text)[-TAIL_CHARACTERS:]


_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36


def become_subreaper() -> None:
    """Adopt orphaned descendants of this process, so that none escapes the supervisor."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def set_parent_death_signal(parent: int) -> None:
    """Have the kernel kill this process when its ``parent`` ends, however that happens."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def lower_priority() -> None:
    """Lower CPU priority and raise the OOM score: services on the machine take precedence, and the OOM killer ends this
    process before a service."""
    os.nice(5)
    with contextlib.suppress(OSError):  # not Linux, or no permission
        Path("/proc/self/oom_score_adj").write_text("1000")


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def resident_bytes() -> int:
    """Return the resident memory of all descendants; shared pages count once per process."""
    total = 0
    for process in descendants():
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def kill_descendants(seconds: float = 10.0) -> None:
    """Kill all descendants and wait for their end. They are stopped first, so that they cannot fork meanwhile."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = [process for process in descendants() if _is_alive(process)]
        for kind in (signal.SIGSTOP, signal.SIGKILL):
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(kind)
        reap()
        if not found:
            return
        time.sleep(0.02)


def reap() -> None:
    """Reap ended children, which would stay as zombies."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


SAMPLE_SECONDS = 0.25
REPORT_SECONDS = 0.5
GRACE_SECONDS = 3.0
"""Time between SIGTERM and SIGKILL, in which a job can close its files."""
DRAIN_SECONDS = 2.0
_CHUNK = 65_536


class JobSupervisor:
    """Starts the job process, enforces its limits and forwards its output and messages."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._limit_bytes = spec["memory_mb"] * 1_048_576
        self._end = time.monotonic() + spec["seconds"]
        self._reason: EndReason = ""
        self._kill_at: float | None = None
        self._peak = 0
        self._tail, self._reported_tail = LogTail(), ""
        self._said = b""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._runner = subprocess.Popen(
            [sys.executable, "-m", "services.core.jobs.job_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        assert self._runner.stdin is not None
        assert self._runner.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._runner.stdin.write(json.dumps({**spec, "descriptor": writing, "keeper": os.getpid()}).encode())
            self._runner.stdin.close()
        self._output, self._messages = self._runner.stdout.fileno(), reading
        os.set_blocking(self._output, False)
        self._selector = selectors.DefaultSelector()
        for source in (0, self._output, self._messages):
            self._selector.register(source, selectors.EVENT_READ)

    def run(self) -> None:
        weigh_at = tell_at = 0.0
        while self._runner.poll() is None:
            self._listen(SAMPLE_SECONDS)
            now = time.monotonic()
            if now >= weigh_at:
                self._check_memory(now)
                weigh_at = now + SAMPLE_SECONDS
            if now >= tell_at:
                self._report_log_tail()
                tell_at = now + REPORT_SECONDS
            if self._kill_at is not None and now >= self._kill_at:
                kill_descendants()
        kill_descendants()
        self._drain()
        self._report_log_tail()
        code = self._runner.returncode
        self._tell({"peak_mb": self._peak >> 20, "reason": self._reason, "ended": code})

    def _listen(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, _CHUNK)
            if not data:
                self._selector.unregister(key.fd)
            if key.fd == 0:
                self.stop("cancelled" if data else "orphaned")
            elif key.fd == self._output:
                self._tail.add(data.decode(errors="replace"))
            else:
                self._forward(data)

    def _forward(self, data: bytes) -> None:
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._write(line + b"\n")
        if len(self._said) > MAX_LINE_BYTES:
            self._said = b""

    def _check_memory(self, now: float) -> None:
        size = resident_bytes()
        self._peak = max(self._peak, size)
        if size > self._limit_bytes:
            self.stop("memory")
            kill_descendants()
        elif now > self._end:
            self.stop("time")

    def stop(self, reason: EndReason) -> None:
        """Send SIGTERM to the job; it is killed after ``GRACE_SECONDS``."""
        if self._reason:
            return
        self._reason = reason
        self._kill_at = time.monotonic() + GRACE_SECONDS
        with contextlib.suppress(ProcessLookupError):
            self._runner.send_signal(signal.SIGTERM)

    def _drain(self) -> None:
        """Read remaining output and messages of the ended processes."""
        limit = time.monotonic() + DRAIN_SECONDS
        sources = {self._output, self._messages}
        while sources & set(self._selector.get_map()) and time.monotonic() < limit:
            self._listen(0.1)

    def _report_log_tail(self) -> None:
        if self._tail.text != self._reported_tail:
            self._reported_tail = self._tail.text
            self._tell({"log_tail": self._reported_tail})

    def _tell(self, message: JobMessage) -> None:
        self._write(encode_message(message))

    def _write(self, line: bytes) -> None:
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            self.stop("orphaned")


def main() -> None:
    with open(0, "rb", buffering=0, closefd=False) as control:
        spec = json.loads(control.readline())
    # Ctrl-C in the service's terminal must not end the job: the pipe does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    become_subreaper()
    keeper = JobSupervisor(spec)
    signal.signal(signal.SIGTERM, lambda *_: keeper.stop("orphaned"))
    keeper.run()


if __name__ == "__main__":
    main()
