"""Ends a command's errors in one line, and sends its log to a file: people get no raw log lines."""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog
import typer
from pydantic import ValidationError

from services.cli.console import err, fail
from services.core.errors import VigieError
from services.core.io import disk_error
from services.core.logs import configure_logging
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT, settings

_MIB = 2**20


class _CommandLog(RotatingFileHandler):
    """Log of the commands, opened at the first record; without a home there is none."""

    def _open(self) -> TextIOWrapper:
        file = Path(self.baseFilename)
        if file.parent.parent.is_dir():
            try:
                file.parent.mkdir(exist_ok=True)
                return super()._open()
            except OSError:
                pass  # a home that cannot be written: the command itself says so
        return Path(os.devnull).open("w", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing of a log that a full disk does not take: the command itself says so."""


def log_file(home: VigiePaths) -> Path:
    return home.logs / "cli.log"


def log_to_file() -> None:
    """Send warnings and errors of this process to the home's ``logs/cli.log``, one JSON object a line."""
    configure_logging("cli", level="WARNING", log_format="json")
    root = logging.getLogger()
    handler = _CommandLog(log_file(settings().home), maxBytes=_MIB, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(root.handlers[0].formatter)
    root.handlers[:] = [handler]


def report(error: Exception) -> int:
    """Say what went wrong on one line of standard error; return the exit code: 2 for wrong arguments, else 1."""
    if hasattr(error, "format_message"):
        return _report_usage(error)
    if isinstance(error, ValidationError):
        fail(_setting_error(error))
        return 1
    if not isinstance(error, VigieError) and (explained := disk_error(error, settings().home.root)):
        fail(explained)
        return 1
    match error:
        case typer.Abort():
            err.print("Stopped.")
        case VigieError():
            fail(error)
        case OSError() if error.filename:
            fail(VigieError(f"{error.filename} cannot be used: {error.strerror}"))
        case _:
            structlog.get_logger().error("command failed", exc_info=error)
            first = str(error).strip().partition("\n")[0]
            fail(
                VigieError(
                    f"Unexpected {type(error).__name__}{f': {first}' if first else ''}",
                    action=f"See {_log_or_variable()}; ./vigie doctor --bundle FILE packs what a helper needs.",
                )
            )
    return 1


def _setting_error(error: ValidationError) -> VigieError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    name = name if name.startswith("VIGIE_") else f"VIGIE_{name.upper()}"
    return VigieError(
        f"{name} is not usable: {first['msg']}", action=f"See {CHECKOUT / '.env.example'} for what it may be."
    )


def _report_usage(error: Exception) -> int:
    """Report wrong arguments. Typer keeps its exceptions to itself, hence the attributes."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
    else:
        command = context.command_path if context is not None else "./vigie"
        fail(VigieError(error.format_message(), action=f"{command} --help"))  # type: ignore[attr-defined]
    return int(getattr(error, "exit_code", 2))


def _log_or_variable() -> str:
    file = log_file(settings().home)
    return str(file) if file.is_file() else "the traceback with VIGIE_LOG_LEVEL=DEBUG"
