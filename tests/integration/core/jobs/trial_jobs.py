"""Jobs with a behaviour chosen by their ``source``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.core.errors import ConflictError
from services.core.jobs.job_process import JobContext, JobHandler


def trial(task: JobContext) -> Mapping[str, Any]:
    """``succeed``, ``refuse``, ``break``, ``die``, ``hold SECONDS``, ``bomb``, ``talk``, ``standing`` or
    ``family FOLDER``."""
    word, _, argument = task.options.source.partition(" ")
    task.progress(f"{word}: begun")
    print(f"printed by {word}", flush=True)  # noqa: T201
    return ACTS[word](task, argument) or {"word": word, "use_case": task.use_case}


def succeed(task: JobContext, argument: str) -> None:
    pass


def refuse(task: JobContext, argument: str) -> None:
    raise ConflictError("The drop folder is empty.", expected="a file", action="Put one there.")


def fail(task: JobContext, argument: str) -> None:
    raise KeyError("what nobody should read")


def die(task: JobContext, argument: str) -> None:
    os.kill(os.getpid(), 9)


def hold(task: JobContext, argument: str) -> None:
    mark = task.home.root / "marks"
    mark.mkdir(parents=True, exist_ok=True)
    with (mark / task.use_case).open("a") as file:
        file.write(f"begin {time.time()}\n")
    time.sleep(float(argument))
    with (mark / task.use_case).open("a") as file:
        file.write(f"end {time.time()}\n")


def bomb(task: JobContext, argument: str) -> None:
    held = []
    while True:
        held.append(bytearray(16 << 20))
        time.sleep(0.01)


def talk(task: JobContext, argument: str) -> None:
    for number in range(3_000):
        task.progress(f"line {number}")
        print("x" * 80 + f" {number}", flush=True)  # noqa: T201
    os.write(1, b"a zero \0 byte and \xff\n")


def standing(task: JobContext, argument: str) -> Mapping[str, Any]:
    score = int(Path("/proc/self/oom_score_adj").read_text())
    return {"nice": os.nice(0), "oom_score_adj": score, "token": os.environ.get("VIGIE_SERVICE_TOKEN")}


STUBBORN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
time.sleep(300)
"""
ORPHANING = """
import subprocess, sys
subprocess.Popen([sys.executable, "-S", "-c", sys.argv[2], sys.argv[1]], start_new_session=True)
"""


def family(task: JobContext, argument: str) -> None:
    """A child in a session of its own and an orphan; both refuse to end kindly."""
    subprocess.run([sys.executable, "-S", "-c", ORPHANING, argument, STUBBORN], check=True)
    subprocess.Popen([sys.executable, "-S", "-c", STUBBORN, argument], start_new_session=True)
    Path(argument, str(os.getpid())).touch()
    time.sleep(300)


ACTS: Mapping[str, Any] = {
    "succeed": succeed,
    "refuse": refuse,
    "break": fail,
    "die": die,
    "hold": hold,
    "bomb": bomb,
    "talk": talk,
    "family": family,
    "standing": standing,
}
JOBS: Mapping[str, JobHandler] = {"ingest": trial}
