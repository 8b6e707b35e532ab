"""``./vigie audit``: whether the audit log is what was written."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from services.cli.access import opened_gateway
from services.cli.arguments import AsJson
from services.cli.console import err, out, print_json
from services.core.errors import VigieError

app = typer.Typer(help="Check the audit log.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``verify`` a command of its own."""


@app.command()
def verify(
    expect: Annotated[
        str | None,
        typer.Option(metavar="SEQUENCE:HASH", help="What an earlier check printed, noted outside of the platform."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read the whole audit log and name every entry that was changed, removed or reordered. Ends with 1 if there
    is one."""
    from services.core.access.audit_verify import verify as check  # noqa: PLC0415 - takes a second

    noted = None
    if expect is not None:
        number, _, digest = expect.partition(":")
        if not number.isdigit() or not digest:
            raise VigieError("--expect is not understood.", expected="SEQUENCE:HASH, as ./vigie audit verify prints it")
        noted = (int(number), digest)
    with opened_gateway() as gateway, gateway.engine.connect() as connection:
        report = check(connection, gateway.trail.chain, noted=noted)
    if as_json:
        print_json({**asdict(report), "intact": report.intact})
    elif report.intact:
        out.print(f"{report.entries} entries, unbroken. Note this elsewhere: {report.sequence}:{report.hash}")
    else:
        for fault in report.faults:
            out.print(fault, markup=False)
        err.print(f"[bold red]{len(report.faults)} faults in {report.entries} entries.[/] Keep a copy of the database.")
    if not report.intact:
        sys.exit(1)
