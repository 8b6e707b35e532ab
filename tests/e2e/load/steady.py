"""Steady load on the running stack, by locust in a process of its own, and what came of each call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCUSTFILE = Path(__file__).with_name("dispatch_centre.py")
CALLERS = 4
LONGEST_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Answer:
    """``failure`` is empty for a call that was answered with 200."""

    at: float
    seconds: float
    request_id: str
    path: str
    failure: str
    source: str
    version: str


@dataclass(frozen=True, slots=True)
class Load:
    """A running load; ``answers`` may be read while it runs."""

    process: subprocess.Popen[bytes]
    record: Path
    log: Path

    def answers(self) -> list[Answer]:
        if not self.record.is_file():
            return []
        lines = self.record.read_text().splitlines(keepends=True)
        return [Answer(**json.loads(line)) for line in lines if line.endswith("\n")]

    def wait_for_calls(self, number: int, *, seconds: float = 60.0) -> None:
        """Wait until ``number`` more calls have come back than now."""
        end, wanted = time.monotonic() + seconds, len(self.answers()) + number
        while len(self.answers()) < wanted:
            assert self.process.poll() is None, f"the load ended by itself:\n{self.log.read_text()[-2_000:]}"
            assert time.monotonic() < end, f"the load stands still:\n{self.log.read_text()[-2_000:]}"
            time.sleep(0.2)

    def summary(self) -> Summary:
        answers = self.answers()
        return Summary(
            calls=len(answers),
            failures=Counter(answer.failure for answer in answers if answer.failure),
            longest=max((answer.seconds for answer in answers), default=0.0),
            seconds=max((a.at for a in answers), default=0.0) - min((a.at for a in answers), default=0.0),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """``longest`` and ``seconds`` in seconds."""

    calls: int
    failures: Counter[str]
    longest: float
    seconds: float

    @property
    def rate(self) -> float:
        return self.calls / self.seconds if self.seconds else 0.0


@contextmanager
def steady_load(
    address: str, key: str, calls: Sequence[dict[str, Any]], folder: Path, *, rate: float = 20.0
) -> Iterator[Load]:
    """Ask ``address`` for ``calls`` (each ``{"path", "body"}``), in turn, ``rate`` times a second in all."""
    folder.mkdir(parents=True, exist_ok=True)
    asked, record, log = folder / "calls.json", folder / "answers.jsonl", folder / "locust.log"
    asked.write_text(json.dumps(list(calls)))
    environment = {
        **os.environ,
        "VIGIE_LOAD_ANSWERS": str(record),
        "VIGIE_LOAD_CALLS": str(asked),
        "VIGIE_LOAD_KEY": key,
        "VIGIE_LOAD_RATE": str(rate / CALLERS),
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"),
                *("--users", str(CALLERS), "--spawn-rate", str(CALLERS), "--host", address),
                *("--run-time", f"{LONGEST_SECONDS}s", "--stop-timeout", "20"),
            ],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    load = Load(process, record, log)
    try:
        load.wait_for_calls(10)
        yield load
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
