"""Keeps one job within its limits: ``python -m services.core.jobs.keeper``, a small process between a stage
service and the process that does the job.

It weighs and times all processes of the job, ends all of them when the job is over, cancelled or beyond a
limit, and does so too when the service is gone: then the pipe to it is closed. Nothing of a job outlives it.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

from services.core.jobs.messages import MOST_LINE_BYTES, Message, Reason, Tail, encode
from services.core.jobs.processes import adopt_orphans, end_descendants, resident_bytes

WEIGH_SECONDS = 0.25
TELL_SECONDS = 0.5
GRACE_SECONDS = 3.0
"""How long a job that is asked to end may take to close what it has open."""
DRAIN_SECONDS = 2.0
_CHUNK = 65_536


class Keeper:
    def __init__(self, spec: dict[str, Any]) -> None:
        self._limit_bytes = spec["memory_mb"] * 1_048_576
        self._end = time.monotonic() + spec["seconds"]
        self._reason: Reason = ""
        self._kill_at: float | None = None
        self._peak = 0
        self._tail, self._told_tail = Tail(), ""
        self._said = b""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._runner = subprocess.Popen(
            [sys.executable, "-m", "services.core.jobs.child"],
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
            self._listen(WEIGH_SECONDS)
            now = time.monotonic()
            if now >= weigh_at:
                self._weigh(now)
                weigh_at = now + WEIGH_SECONDS
            if now >= tell_at:
                self._tell_tail()
                tell_at = now + TELL_SECONDS
            if self._kill_at is not None and now >= self._kill_at:
                end_descendants()
        end_descendants()
        self._drain()
        self._tell_tail()
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
                self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._write(line + b"\n")
        if len(self._said) > MOST_LINE_BYTES:
            self._said = b""

    def _weigh(self, now: float) -> None:
        size = resident_bytes()
        self._peak = max(self._peak, size)
        if size > self._limit_bytes:
            self.stop("memory")
            end_descendants()
        elif now > self._end:
            self.stop("time")

    def stop(self, reason: Reason) -> None:
        """Ask the job to end; it is made to a moment later."""
        if self._reason:
            return
        self._reason = reason
        self._kill_at = time.monotonic() + GRACE_SECONDS
        with contextlib.suppress(ProcessLookupError):
            self._runner.send_signal(signal.SIGTERM)

    def _drain(self) -> None:
        """What the processes said last."""
        limit = time.monotonic() + DRAIN_SECONDS
        sources = {self._output, self._messages}
        while sources & set(self._selector.get_map()) and time.monotonic() < limit:
            self._listen(0.1)

    def _tell_tail(self) -> None:
        if self._tail.text != self._told_tail:
            self._told_tail = self._tail.text
            self._tell({"log_tail": self._told_tail})

    def _tell(self, message: Message) -> None:
        self._write(encode(message))

    def _write(self, line: bytes) -> None:
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            self.stop("orphaned")


def main() -> None:
    with open(0, "rb", buffering=0, closefd=False) as control:
        spec = json.loads(control.readline())
    # The service's terminal is not the job's; the pipe says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    keeper = Keeper(spec)
    signal.signal(signal.SIGTERM, lambda *_: keeper.stop("orphaned"))
    keeper.run()


if __name__ == "__main__":
    main()
