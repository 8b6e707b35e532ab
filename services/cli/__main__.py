"""``python -m services.cli``: the commands of ``./vigie``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import structlog
import typer

from services.cli import (
    audit,
    backup,
    data,
    demo,
    doctor,
    init,
    keys,
    models,
    new_use_case,
    pipeline,
    platform,
    simulate,
    test,
    users,
)
from services.cli.console import fail
from services.core.errors import VigieError
from services.core.logs import configure_logs

app = typer.Typer(
    name="vigie",
    help="MLOps for emergency dispatch centres: train, gate, serve and watch models of what a call will need.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(rich_help_panel="Start here")(demo.demo)
app.command(rich_help_panel="Start here")(init.init)
app.command(name="test", rich_help_panel="Start here")(test.run_tests)
app.command(rich_help_panel="Start here")(doctor.doctor)

PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "The platform": (platform.up, platform.down, platform.status, simulate.simulate, backup.backup, backup.restore),
    "From raw files to a serving model": (
        pipeline.run,
        pipeline.ingest,
        pipeline.preprocess,
        pipeline.train,
        pipeline.evaluate,
        pipeline.promote,
        pipeline.rollback,
    ),
    "Models": (models.models, models.predict),
    "Use cases": (new_use_case.new_use_case,),
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(data.app, name="data", rich_help_panel="Data")
for name, group in {"users": users.app, "keys": keys.app, "audit": audit.app}.items():
    app.add_typer(group, name=name, rich_help_panel="Access")


def main() -> None:
    configure_logs("cli", level="WARNING", log_format="console")
    try:
        app(prog_name="./vigie")
    except VigieError as error:
        structlog.get_logger().debug("command failed", exc_info=True)
        fail(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
