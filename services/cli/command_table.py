"""Table of the ``./vigie`` commands. A command's module is imported only when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Entry(NamedTuple):
    """One entry of ``./vigie --help``."""

    where: str
    """``module:function`` below ``services.cli.commands``, or a Typer application for a group."""
    panel: str
    help: str
    """First line of the function's docstring, or the group's help."""


_START, _PLATFORM, _MODELS = "Start here", "The platform", "Models"
_STEPS, _DATA, _ACCESS = "From raw files to a serving model", "Data", "Access"

COMMANDS = {
    "demo": Entry("demo:demo", _START, "Train, gate, serve and call every use case, and let a storm break over them."),
    "init": Entry("init:init", _START, "Write .env with random secrets, for [b]docker compose up -d --wait[/b]."),
    "test": Entry(
        "test:run_tests", _START, "Lint, types, unit and integration tests: offline, on this machine's cores."
    ),
    "doctor": Entry(
        "doctor:doctor", _START, "Check Python, packages, disk, memory, ports, secrets and Docker, and say what to do."
    ),
    "up": Entry("platform:up", _PLATFORM, "Start the whole platform and leave it running."),
    "down": Entry("platform:down", _PLATFORM, "Stop everything that ``up`` started."),
    "status": Entry(
        "platform:status", _PLATFORM, "Show what runs, where, and whether it answers. Exits 1 if something does not."
    ),
    "simulate": Entry(
        "simulate:simulate",
        _PLATFORM,
        "Send simulated calls and outcomes to this home's platform. Ctrl-C stops them.",
    ),
    "backup": Entry(
        "backup:backup",
        _PLATFORM,
        "Copy databases, models, data and secrets into a new folder. The platform may run.",
    ),
    "restore": Entry("backup:restore", _PLATFORM, "Bring back what a backup holds, after checking every file of it."),
    "run": Entry("pipeline:run", _STEPS, "Run the whole chain: ingest, preprocess, train, evaluate, gate, promote."),
    "ingest": Entry("data:ingest", _STEPS, "Acquire raw files, validate them and merge them with what is there."),
    "preprocess": Entry("pipeline:preprocess", _STEPS, "Make examples of the ingested tables."),
    "train": Entry("pipeline:train", _STEPS, "Train the models on the examples and write the candidate bundle."),
    "evaluate": Entry(
        "models:evaluate",
        _STEPS,
        "Score the candidate on its test slice, or with --data the champion on a folder of raw official files.",
    ),
    "promote": Entry(
        "pipeline:promote",
        _STEPS,
        "Register the candidate, put it through the gate and promote it if the gate allows it.",
    ),
    "rollback": Entry(
        "pipeline:rollback",
        _STEPS,
        "Make the previous champion the champion again; prediction follows within seconds.",
    ),
    "models": Entry(
        "models:models", _MODELS, "List the registered versions with their aliases, metrics and the gate's word."
    ),
    "predict": Entry(
        "models:predict",
        _MODELS,
        "Answer one request with the champion, without a running service; without a champion the baseline answers.",
    ),
    "new-use-case": Entry(
        "new_use_case:new_use_case", "Use cases", "Write a small use case that works, with its simulator and its tests."
    ),
    "data": Entry("data:app", _DATA, "Bring data back, share it, tidy it up."),
    "users": Entry("users:users_app", _ACCESS, "List users, make them, set passwords and roles, let them in or not."),
    "keys": Entry("access:keys_app", _ACCESS, "Make, list and revoke API keys."),
    "secrets": Entry("secrets:app", _ACCESS, "Replace the secrets of this home."),
    "audit": Entry("access:audit_app", _ACCESS, "Check the audit log."),
}


class LazyCommands(TyperGroup):
    """Lists commands without importing their modules."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given | {"commands": {name: _listed(name) for name in COMMANDS}})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is used or completed; listing does not call this."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _imported(str(name)), rest


def _listed(name: str) -> TyperCommand:
    return TyperCommand(
        name=name, help=COMMANDS[name].help, rich_help_panel=COMMANDS[name].panel, rich_markup_mode="rich"
    )


def _imported(name: str) -> Any:
    module, _, function = COMMANDS[name].where.partition(":")
    found = import_module(f"services.cli.commands.{module}")
    app = typer.Typer(rich_markup_mode="rich")
    command = getattr(found, function)
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name=name)(command)
    return typer.main.get_group(app).commands[name]
