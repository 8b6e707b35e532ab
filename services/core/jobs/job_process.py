"""Process of a job, from both sides.

``JobProcess`` starts a job's supervisor and follows it in the service. ``python -m services.core.jobs.job_process`` is
the process that the supervisor starts: it reads the job from standard input, calls the handler, and reports progress
and result through a file descriptor. Its output is the job's log."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import structlog
from pydantic import BaseModel

from services.core.errors import VigieError
from services.core.io import disk_error
from services.core.jobs.options import OPTIONS
from services.core.jobs.queue import INTERRUPTED_ERROR, cancelled_error
from services.core.jobs.supervisor import (
    MAX_LINE_BYTES,
    MAX_RESULT_BYTES,
    PROGRESS_CHARACTERS,
    PROGRESS_LINES,
    EndReason,
    JobMessage,
    decode_message,
    encode_message,
    lower_priority,
    set_parent_death_signal,
)
from services.core.jobs.tables import Job, JobResult, JobState, error_payload, failed_result
from services.core.logs import configure_logging
from services.core.paths import VigiePaths
from services.core.settings import settings

_WITHHELD_VARIABLES = frozenset({"VIGIE_SERVICE_TOKEN"})
"""Variables removed from a job's environment, unless its service declares that it needs them."""


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Memory and time limit of a job."""

    memory_mb: int
    seconds: float


class JobProcess:
    """A running job, as seen by the service that started it."""

    def __init__(
        self,
        job: Job,
        module: str,
        limits: JobLimits,
        *,
        ended: Callable[[], None],
        secrets: frozenset[str] = frozenset(),
    ) -> None:
        """Start ``job`` with the handler of its step in ``module.JOBS``. ``ended`` is called in another thread when all
        of its processes have ended. ``secrets``: withheld variables that it needs."""
        self.job = job
        self.limits = limits
        self.peak_mb = 0
        self._changed = True
        self._lock = threading.Lock()
        self._progress = list(job.progress)
        self._log_tail = ""
        self._result: dict[str, Any] | None = None
        self._error: dict[str, str] | None = None
        self._reason: EndReason = ""
        self._code: int | None = None
        self._over = ended
        self.ended = threading.Event()
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "services.core.jobs.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name not in _WITHHELD_VARIABLES - secrets},
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
        """Ask the supervisor to end the job's processes; takes a few seconds at most."""
        self._send({"cancel": True})

    def changes(self) -> dict[str, Any]:
        """Return ``progress`` and ``log_tail`` if they have changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, False
            return self._output() if changed else {}

    def output(self) -> dict[str, Any]:
        with self._lock:
            return self._output()

    @property
    def outcome(self) -> JobResult:
        """Return the job's result; valid once ``ended`` is set."""
        if self._reason in {"memory", "time"}:
            return self._beyond_limit()
        if self._result is not None:
            return JobResult(JobState.SUCCEEDED, self._result)
        if self._reason == "cancelled":
            return JobResult(JobState.CANCELLED, error=cancelled_error())
        if self._reason == "orphaned":
            return JobResult(JobState.INTERRUPTED, error=dict(INTERRUPTED_ERROR))
        if self._error is not None:
            return JobResult(JobState.FAILED, error=self._error)
        how = "without an error message" if self._code is None else f"with code {self._code}"
        if self._code == -signal.SIGKILL:
            how = "by force, as the system does where memory runs out,"
        return failed_result(
            f"The job's process was ended {how} before it had a result.", action="See its log; retry the job."
        )

    def _beyond_limit(self) -> JobResult:
        if self._reason == "memory":
            return failed_result(
                f"The job needed more than {self.limits.memory_mb} MB of memory and was ended.",
                expected="at most VIGIE_JOB_MEMORY_MB",
                action="Give jobs more memory, or less data.",
            )
        return failed_result(
            f"The job did not end within {self.limits.seconds:g} seconds and was ended.",
            expected="at most VIGIE_JOB_SECONDS",
            action="Give jobs more time, or see in its log what it waited for.",
        )

    def _output(self) -> dict[str, Any]:
        return {"progress": self._progress[-PROGRESS_LINES:], "log_tail": self._log_tail}

    def _send(self, message: dict[str, Any]) -> None:
        assert self._keeper.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended, or its pipe is closed
            self._keeper.stdin.write(json.dumps(message).encode() + b"\n")
            self._keeper.stdin.flush()

    def _listen(self) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        with self._keeper.stdout as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                self._hear(decode_message(line))
        self._keeper.stdin.close()
        self._keeper.wait()
        self.ended.set()
        self._over()

    def _hear(self, message: JobMessage) -> None:
        with self._lock:
            self._changed = True
            if "progress" in message:
                self._progress.append(message["progress"])
                del self._progress[:-PROGRESS_LINES]
            elif "log_tail" in message:
                # Databases reject NUL in text.
                self._log_tail = message["log_tail"].replace("\0", "\N{REPLACEMENT CHARACTER}")
            elif "result" in message:
                self._result = message["result"]
            elif "error" in message:
                self._error = message["error"]
            elif "ended" in message:
                self.peak_mb, self._reason, self._code = message["peak_mb"], message["reason"], message["ended"]


@dataclass(frozen=True, slots=True)
class JobContext:
    """A job as passed to its handler."""

    id: str
    use_case: str
    step: str
    options: Any
    """The step's options model of ``services.core.jobs.options``."""
    requested_by: str
    home: VigiePaths
    progress: Callable[[str], None]
    """Reports one line of progress, such as ``train: running``."""

    def log(self, line: str) -> None:
        """Write a line of a child process's output to the job's log."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - stderr is the job's log


class JobHandler(Protocol):
    """The function that runs jobs of one step."""

    def __call__(self, task: JobContext) -> Mapping[str, Any]:
        """Run the job and return its result as JSON.

        Raises:
            VigieError: the job failed, in three sentences for people.
        """


class _ProgressChannel:
    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def progress(self, line: str) -> None:
        self.say({"progress": line[:PROGRESS_CHARACTERS]})

    def say(self, message: JobMessage) -> None:
        self._file.write(encode_message(message))


def run_handler(work: JobHandler, task: JobContext) -> JobMessage:
    """Run the handler; return the final message with its result or error."""
    try:
        result = dict(work(task))
        size = len(encode_message({"result": result}))
    except VigieError as error:
        structlog.get_logger().warning("job failed", reason=str(error))
        return {"error": error_payload(error)}
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - any exception fails the job and is logged
        traceback.print_exc()
        if (known := disk_error(error)) is not None:
            return {"error": error_payload(known)}
        problem = f"The job failed with an unexpected error ({type(error).__name__})."
        return {"error": {"problem": problem, "expected": "", "action": "Its log has the details."}}
    if size > MAX_RESULT_BYTES:
        problem = f"The job's result takes {size} bytes as JSON."
        return {"error": {"problem": problem, "expected": f"at most {MAX_RESULT_BYTES}", "action": ""}}
    return {"result": result}


def main() -> int:
    spec: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    set_parent_death_signal(spec["keeper"])
    lower_priority()
    signal.signal(signal.SIGTERM, _exit_on_signal)
    speaker = _ProgressChannel(spec["descriptor"])
    os.set_inheritable(spec["descriptor"], False)
    configure_logging(spec["service"])
    structlog.contextvars.bind_contextvars(job=spec["id"])
    options: BaseModel = OPTIONS[spec["step"]].model_validate(spec["options"])
    task = JobContext(
        id=spec["id"],
        use_case=spec["use_case"],
        step=spec["step"],
        options=options,
        requested_by=spec["requested_by"],
        home=settings().home,
        progress=speaker.progress,
    )
    jobs: Mapping[str, JobHandler] = importlib.import_module(spec["module"]).JOBS
    payload = run_handler(jobs[task.step], task)
    speaker.say(payload)
    return 0 if "result" in payload else 1


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    """Exit normally, so that open files are closed and child processes are ended."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
