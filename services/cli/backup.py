"""``./vigie backup`` and ``restore``: everything that cannot be made again, while the platform runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import backup_compose, backup_local
from services.cli.console import out
from services.core.errors import VigieError
from services.core.settings import settings

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]
Compose = Annotated[bool, typer.Option("--compose", help="Of the platform in Docker Compose.")]
Project = Annotated[str | None, typer.Option(help="Compose's project, if it has another name; implies --compose.")]
EnvFile = Annotated[Path | None, typer.Option(help="Compose's settings, if they are not in .env.")]


def backup(folder: Folder, compose: Compose = False, project: Project = None, env_file: EnvFile = None) -> None:
    """Copy databases, models, data and secrets into a new folder. The platform may run."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VigieError(f"{folder} is there already.", expected="a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # it holds secrets
    if compose or project:
        made = backup_compose.backup(backup_compose.Stack.of(project, env_file), folder)
    else:
        made = backup_local.backup(settings(), folder)
    size = sum((folder / name).stat().st_size for name in made.files)
    out.print(
        f"{folder}: {len(made.files)} files, {size / 2**20:.1f} MiB. It holds secrets: keep it as safe as the platform."
    )


def restore(
    folder: Folder,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    compose: Compose = False,
    project: Project = None,
    env_file: EnvFile = None,
) -> None:
    """Bring back what a backup holds, after checking every file of it."""
    if compose or project:
        stack = backup_compose.Stack.of(project, env_file)
        found = backup_compose.restore(stack, folder, force=force)
        start = "docker compose up -d --wait"
    else:
        found = backup_local.restore(settings(), folder, force=force)
        start = "./vigie up"
    out.print(f"Restored as of {found.made:%Y-%m-%d %H:%M:%S} UTC. Start it with: {start}")
