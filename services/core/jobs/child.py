"""The process that does a job: ``python -m services.core.jobs.child``, started by the keeper.

It reads which job it is from standard input and says how it goes through the file descriptor that it was
given; what it prints is the job's log.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import structlog
from pydantic import BaseModel

from services.core.errors import VigieError
from services.core.home import Home
from services.core.jobs.messages import MOST_RESULT_BYTES, PROGRESS_CHARACTERS, Message, encode
from services.core.jobs.options import OPTIONS
from services.core.jobs.outcome import sentences
from services.core.jobs.processes import die_with_parent, give_way
from services.core.logs import configure_logs
from services.core.settings import settings


@dataclass(frozen=True, slots=True)
class Task:
    """A job, as the function that does it sees it."""

    id: str
    use_case: str
    step: str
    options: Any
    """The step's own model of ``services.core.jobs.options``."""
    requested_by: str
    home: Home
    progress: Callable[[str], None]
    """Takes one line for people, such as ``train: running``."""

    def log(self, line: str) -> None:
        """A line of the output of a process that the job started."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the job's log


class Work(Protocol):
    def __call__(self, task: Task) -> Mapping[str, Any]:
        """Do the job and return its result, as JSON.

        Raises:
            VigieError: it failed, in three sentences for people.
        """


class _Speaker:
    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def progress(self, line: str) -> None:
        self.say({"progress": line[:PROGRESS_CHARACTERS]})

    def say(self, message: Message) -> None:
        self._file.write(encode(message))


def run(work: Work, task: Task) -> Message:
    """Do the job; what to tell of how it ended."""
    try:
        result = dict(work(task))
        size = len(encode({"result": result}))
    except VigieError as error:
        structlog.get_logger().warning("job failed", reason=str(error))
        return {"error": sentences(error)}
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, the job has failed and its log says why
        traceback.print_exc()
        problem = f"The job failed in a way that nobody foresaw ({type(error).__name__})."
        return {"error": {"problem": problem, "expected": "", "action": "Its log has the details."}}
    if size > MOST_RESULT_BYTES:
        problem = f"The job's result takes {size} bytes as JSON."
        return {"error": {"problem": problem, "expected": f"at most {MOST_RESULT_BYTES}", "action": ""}}
    return {"result": result}


def main() -> int:
    spec: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    die_with_parent(spec["keeper"])
    give_way()
    signal.signal(signal.SIGTERM, _leave)
    speaker = _Speaker(spec["descriptor"])
    os.set_inheritable(spec["descriptor"], False)
    configure_logs(spec["service"])
    structlog.contextvars.bind_contextvars(job=spec["id"])
    options: BaseModel = OPTIONS[spec["step"]].model_validate(spec["options"])
    task = Task(
        id=spec["id"],
        use_case=spec["use_case"],
        step=spec["step"],
        options=options,
        requested_by=spec["requested_by"],
        home=settings().home,
        progress=speaker.progress,
    )
    jobs: Mapping[str, Work] = importlib.import_module(spec["module"]).JOBS
    told = run(jobs[task.step], task)
    speaker.say(told)
    return 0 if "result" in told else 1


def _leave(number: int, _frame: FrameType | None) -> None:
    """An ordinary end: what is open is closed and the processes that the job started are ended."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
