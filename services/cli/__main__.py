"""``python -m services.cli``: entry point of ``./vigie``."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

import typer

from services.cli.command_table import LazyCommands

WRITE_THE_CHECKOUT = frozenset({"init", "new-use-case", "test"})
"""Commands whose files other users may read, such as those of images. All others' are for this user alone."""
COMPLETION = "_VIGIE_COMPLETE"
"""Set by the shell when it requests completions; ``./vigie`` installs nothing then."""
_COMPLETION_OPTIONS = ("--install-completion", "--show-completion")
_TAKE_THE_NAMED_SHELL = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""Typer's variable: without it the shell is looked for among the parents of this process."""

app = typer.Typer(
    name="vigie",
    cls=LazyCommands,
    help="MLOps for emergency dispatch centres: train, gate, serve and watch models of what a call will need.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _commands() -> None:
    """Makes Typer create a group before any command is loaded."""


def main() -> None:
    arguments = sys.argv[1:]
    if COMPLETION in os.environ or any(argument in _COMPLETION_OPTIONS for argument in arguments):
        if len(arguments) > 1:  # the shell is named, and need not be the one that started this process
            os.environ.setdefault(_TAKE_THE_NAMED_SHELL, "1")
        app(prog_name="vigie")  # shell completion is registered by name, not by path
        return
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not know every letter
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code. Whatever goes wrong is said on one line; what was logged on the way is in
    ``logs/cli.log`` of the home, with the traceback of an error that nobody foresaw."""
    try:
        if arguments and arguments != ["--help"]:
            from services.cli.failures import log_to_file  # noqa: PLC0415 - not needed for help
            from services.core.settings import settings  # noqa: PLC0415

            log_to_file()
            if arguments[0] not in WRITE_THE_CHECKOUT:
                os.umask(0o077)
                settings().home.protect()
        code = app(prog_name="./vigie", standalone_mode=False)
    except Exception as error:
        if os.environ.get("VIGIE_LOG_LEVEL") == "DEBUG":
            raise
        from services.cli.failures import report  # noqa: PLC0415

        return report(error)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
