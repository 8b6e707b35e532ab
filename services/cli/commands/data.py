"""``./vigie data``: checks out, shares, garbage-collects and erases the data behind the models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from services.cli.console import AsJson, Fresh, Source, UseCaseName, err, fail, known_use_case, out, print_json, step
from services.core import use_case_registry as use_cases
from services.core.errors import VigieError
from services.core.jobs.options import IngestOptions
from services.core.paths import VigiePaths
from services.core.settings import settings

app = typer.Typer(help="Bring data back, share it, tidy it up.", no_args_is_help=True)


def ingest(
    use_case: Annotated[
        str | None,
        typer.Argument(
            metavar="USE_CASE",
            help="One of " + ", ".join(use_cases.names()) + "; with --check it may be left out.",
            callback=lambda value: value and known_use_case(value),
            autocompletion=use_cases.names,
        ),
    ] = None,
    *,
    source: Source = "auto",
    fresh: Fresh = False,
    confirm: Annotated[
        str, typer.Option(metavar="CODES", help="Doubtful values that are right, by the codes that a refusal names.")
    ] = "",
    check: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Only say what would be understood of the files in this folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Acquire raw files, validate them and merge them with what is there."""
    home = settings().home
    if check is not None:
        _check(home, [use_case] if use_case else use_cases.names(), check, as_json=as_json)
        return
    if use_case is None:
        raise VigieError("The use case is missing.", expected="one of " + ", ".join(use_cases.names()))
    from services.cli.commands.pipeline import run_stage  # noqa: PLC0415 - not needed by the other commands

    try:
        codes = IngestOptions(confirm=confirm).confirm.replace(",", " ").split()
    except ValidationError as error:
        raise VigieError(
            f"{confirm!r} is no code.", expected="the codes that the refused ingestion named, with commas"
        ) from error
    run_stage(home, use_case, "ingest", source=source, fresh=fresh, confirm=codes)
    manifest = json.loads((home.data(use_case) / "raw" / "manifest.json").read_text(encoding="utf-8"))
    if as_json:
        print_json(manifest)
    else:
        out.print_json(data=manifest)


def _check(home: VigiePaths, names: Sequence[str], folder: Path, *, as_json: bool) -> None:
    """Print what would be understood of a folder's files. Exits 1 if an ingestion of them would be refused."""
    from services.ingestion.preview import preview  # noqa: PLC0415 - reads parameters, not needed elsewhere

    found = [preview(home, name, folder) for name in names]
    found = [answer for answer in found if answer["recognised"]] or found[:1]
    if as_json:
        print_json({"checks": found})
    for answer in [] if as_json else found:
        _print_check(answer)
    if any(answer["refusals"] for answer in found):
        raise typer.Exit(1)


def _print_check(answer: Mapping[str, Any]) -> None:
    out.print(f"[bold]{answer['use_case']}[/]")
    for file in answer["files"]:
        out.print(
            f"{file['file']}: {file['rows']} rows of {file['table']}, {file['quarantined']} to quarantine", markup=False
        )
        for line in file["findings"]:
            out.print(f"  {line}", markup=False)
        table = Table("as read", *(f"row {number}" for number in range(1, len(file["sample"]) + 1)), box=None)
        for name in file["sample"][0] if file["sample"] else ():
            table.add_row(name, *(Text(row[name]) for row in file["sample"]))
        out.print(table)
    for name, why in answer["left_aside"].items():
        out.print(f"{name}: left aside: {why}", markup=False)
    for line in answer["notes"]:
        out.print(line, markup=False)
    for refusal in answer["refusals"]:
        fail(VigieError(**refusal))
    if not answer["refusals"]:
        out.print("An ingestion would take these files. Nothing was stored.")


@app.command()
def checkout(
    version: Annotated[str, typer.Argument(metavar="USE_CASE@VERSION", help="For example fire_response@3.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or new folder.")],
) -> None:
    """Bring back the data that made a version, from the lock file kept with its run."""
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415
    from services.core.pipeline.versions import checkout_data  # noqa: PLC0415

    use_case, _, number = version.partition("@")
    if not number.isdigit():
        raise VigieError(f"{version!r} names no version.", expected="USE_CASE@NUMBER, for example fire_response@3")
    use_cases.get(use_case)
    home = settings().home
    registry = ModelRegistry.open(home)
    with step(f"data of {version}"):
        checkout_data(home, registry.lock_file(registry.version(use_case, int(number))), use_case, folder)
    out.print(str(folder.resolve()), markup=False)


@app.command()
def push(use_case: UseCaseName) -> None:
    """Copy the published data and models to the DVC remote."""
    from services.core.pipeline.versions import push_data  # noqa: PLC0415

    with step(f"{use_case} pushed"):
        push_data(settings().home, use_case)


@app.command()
def pull(use_case: UseCaseName) -> None:
    """Fetch the published data and models from the DVC remote."""
    from services.core.pipeline.versions import pull_data  # noqa: PLC0415

    with step(f"{use_case} pulled"):
        pull_data(settings().home, use_case)


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove cached data that neither a published state nor a registered version names."""
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415
    from services.core.pipeline.versions import collect_garbage  # noqa: PLC0415

    home = settings().home
    registry = ModelRegistry.open(home)
    kept = [registry.lock_file(version) for name in use_cases.names() for version in registry.versions(name)]
    removed = collect_garbage(home, kept, dry_run=dry_run)
    out.print(f"{'would remove' if dry_run else 'removed'} {removed}")


@app.command(name="erase-calls")
def erase_calls(
    use_case: Annotated[str, typer.Option("--use-case", help="Whose calls.", callback=known_use_case)],
    incident: Annotated[str, typer.Option(help="The centre's id of the incident; with --centre.")] = "",
    centre: Annotated[str, typer.Option(help="The centre that the incident belongs to.")] = "",
    before: Annotated[
        datetime | None, typer.Option(help="Everything that came before this day (UTC).", formats=["%Y-%m-%d"])
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Erase logged calls and their outcomes: those of one incident, or all that came before a day."""
    from services.core.prediction_log.retention import erase_before, erase_incident  # noqa: PLC0415
    from services.core.prediction_log.settings import prediction_log_settings  # noqa: PLC0415

    chosen = prediction_log_settings()
    if before is not None and not incident and not centre:
        erased = erase_before(chosen, use_case, before.replace(tzinfo=UTC), dry_run=dry_run)
    elif before is None and incident and centre:
        erased = erase_incident(chosen, use_case, centre, incident, dry_run=dry_run)
    else:
        raise VigieError(
            "It is not clear what to erase.", expected="--incident with --centre, or --before with a day and no other"
        )
    out.print(f"{'would erase' if dry_run else 'erased'} {erased}")
    waiting = [*chosen.home.journal.glob("*/*.jsonl")] if chosen.home.journal.is_dir() else []
    if any(path.stat().st_size for path in waiting):
        err.print(
            "Calls still wait on disk for the database, or lie in journal/dead-letters: see docs/prediction-log.md."
        )
