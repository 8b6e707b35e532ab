"""``python -m services.cli``: entry point of ``./vigie``."""

from __future__ import annotations

import os
import sys

import typer

from services.cli.command_table import LazyCommands
from services.core.errors import VigieError

COMPLETION = "_VIGIE_COMPLETE"
"""Set by the shell when it requests completions; ``./vigie`` installs nothing then."""
_COMPLETION_OPTIONS = ("--install-completion", "--show-completion")

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
        app(prog_name="vigie")  # shell completion is registered by name, not by path
        return
    if arguments and arguments != ["--help"]:
        from services.core.logs import configure_logging  # noqa: PLC0415 - not needed for help

        configure_logging("cli", level="WARNING", log_format="console")
    try:
        app(prog_name="./vigie")
    except VigieError as error:
        from services.cli.console import fail  # noqa: PLC0415

        fail(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
