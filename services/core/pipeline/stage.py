"""Entry point of the DVC stages: argument parsing, logging, and passing errors to the run that started the stage.

Stages read and write only below the current folder."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.io import disk_error
from services.core.logs import configure_logging

ERROR_FILE_VARIABLE = "VIGIE_ERROR_FILE"
"""Environment variable: file in which a stage stores its error for the run that started it."""


def run_stage_main(name: str, work: Callable[[str], None], arguments: Sequence[str] | None = None) -> int:
    """Run ``work(use_case)`` and return the exit code: 0, or 1 after a VigieError or an error of the disk, which is
    printed and stored. Other exceptions are bugs and propagate."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    configure_logging(name)
    log = structlog.get_logger()
    started = time.perf_counter()
    try:
        if len(given) != 1:
            raise VigieError(
                f"{name} takes one use case, not {given}.", expected="one of " + ", ".join(use_case_registry.names())
            )
        use_case_registry.get(given[0])
        work(given[0])
    except Exception as error:
        known = error if isinstance(error, VigieError) else disk_error(error)
        if known is None:
            raise
        print(known, file=sys.stderr)  # noqa: T201
        if ERROR_FILE_VARIABLE in os.environ:
            with suppress(OSError):  # the disk may be full; it was printed
                Path(os.environ[ERROR_FILE_VARIABLE]).write_text(
                    json.dumps({"problem": known.problem, "expected": known.expected, "action": known.action})
                )
        return 1
    log.info("stage finished", stage=name, use_case=given[0], seconds=round(time.perf_counter() - started, 2))
    return 0


def read_stage_error(path: Path) -> VigieError | None:
    """Read the error that a stage stored, if any."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return VigieError(content["problem"], expected=content["expected"], action=content["action"])
