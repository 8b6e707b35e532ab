"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.core.usecases import registry


def known_use_case(value: str) -> str:
    registry.get(value)
    return value


UseCaseName = Annotated[
    str,
    typer.Argument(
        metavar="USE_CASE",
        help="One of " + ", ".join(registry.names()) + ".",
        callback=known_use_case,
        autocompletion=registry.names,
    ),
]
Source = Annotated[
    str,
    typer.Option(
        "--source",
        help="auto (official download, else the drop folder, else the simulator), official, simulator, "
        "or a folder of raw files.",
        metavar="auto|official|simulator|DIR",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget the raw files that landed before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", help="A folder of raw official files to score the champion on.", exists=True, file_okay=False
    ),
]
