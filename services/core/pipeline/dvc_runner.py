"""Runs DVC as a child process, which releases its lock files and memory on exit."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.pipeline.stage import ERROR_FILE_VARIABLE, read_stage_error

_RUNNING = re.compile(r"^Running stage '(?P<stage>[^@']+)(@[^']+)?'")
_SKIPPED = re.compile(r"^Stage '(?P<stage>[^@']+)(@[^']+)?' (didn't change, skipping|is cached)")
_LAST_LINES = 12
_GRACE_SECONDS = 5.0


def run_dvc(
    home: VigiePaths,
    folder: Path,
    arguments: Sequence[str],
    *,
    log: Path | None = None,
    progress: Callable[[str], None] | None = None,
    output: Callable[[str], None] | None = None,
    started: Callable[[int], None] | None = None,
    inherit: Sequence[int] = (),
) -> list[str]:
    """Run ``dvc ARGUMENTS`` in the workspace ``folder`` and return the last lines of its output.

    ``progress`` is called for each stage that starts or is skipped, ``started`` with the process id. All output is
    written to ``log`` and passed line by line to ``output``. ``inherit``: file descriptors that the process keeps open.

    Raises:
        VigieError: DVC failed: the stage's own error if it stored one, else the last lines of output.
    """
    error_file = folder / ".dvc" / "tmp" / "error.json"
    error_file.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=_environment(home, error_file),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=tuple(inherit),
    )
    try:
        if started is not None:
            started(process.pid)
        lines = _stream_output(process, log, progress, output)
        code = process.wait()
    except BaseException:
        terminate_group(process.pid)
        process.wait()
        raise
    finally:
        assert process.stdout is not None
        process.stdout.close()
    if code != 0:
        raise read_stage_error(error_file) or _failure(arguments, code, lines, log)
    return lines


def terminate_group(process_id: int) -> None:
    """Terminate DVC and the running stage: SIGTERM first, then SIGKILL."""
    try:
        os.killpg(process_id, signal.SIGTERM)
        limit = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < limit:
            os.killpg(process_id, 0)
            time.sleep(0.05)
        os.killpg(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return


def _environment(home: VigiePaths, error_file: Path) -> dict[str, str]:
    """Return DVC's environment, in which ``python`` of ``dvc.yaml`` is this interpreter. The workspace's code takes
    precedence anyway: ``python -m`` puts the current folder first."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    environment["VIGIE_HOME"] = str(home.root.resolve())
    environment["DVC_NO_ANALYTICS"] = "1"
    environment["PYTHONUNBUFFERED"] = "1"
    environment[ERROR_FILE_VARIABLE] = str(error_file.resolve())
    return environment


def _stream_output(
    process: subprocess.Popen[str],
    log: Path | None,
    progress: Callable[[str], None] | None,
    output: Callable[[str], None] | None,
) -> list[str]:
    """Read the output to its end; return its last lines."""
    last: list[str] = []
    assert process.stdout is not None
    sink = log.open("a", encoding="utf-8") if log is not None else None
    try:
        for line in process.stdout:
            if sink is not None:
                sink.write(line)
                sink.flush()
            if output is not None:
                output(line.rstrip())
            last = [*last[-_LAST_LINES:], line.rstrip()]
            if progress is not None and (found := _RUNNING.match(line)):
                progress(f"{found['stage']}: running")
            elif progress is not None and (found := _SKIPPED.match(line)):
                progress(f"{found['stage']}: unchanged")
    finally:
        if sink is not None:
            sink.close()
    return last


def _failure(arguments: Sequence[str], code: int, lines: Sequence[str], log: Path | None) -> VigieError:
    output = "\n".join(line for line in lines if line and not _is_log_line(line))
    return VigieError(
        f"dvc {' '.join(arguments)} ended with code {code}. Its last lines:\n{output}",
        action=f"See {log}." if log is not None else "",
    )


def _is_log_line(line: str) -> bool:
    """Whether a line is structured logging, which belongs in the log file but not in an error message."""
    try:
        return line.startswith("{") and "event" in json.loads(line)
    except ValueError:
        return False
