"""``./vigie backup`` and ``restore``, also of the platform in Docker Compose: databases through PostgreSQL, volumes
through temporary containers of its image. No host path is mounted.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from services.cli.console import out, step
from services.cli.local_platform import backup as backup_local
from services.core.backup import manifest
from services.core.errors import VigieError
from services.core.io import disk_error
from services.core.settings import CHECKOUT, settings

DATABASES = ("airflow", "vigie", "mlflow")
"""Databases in the order in which they are copied, so that references to later ones resolve."""
WAL_VOLUMES = ("serving", "state")
VOLUMES = ("artifacts", "state", "gateway", "edge", "baseline")
SECRETS_IN_DATABASES = ("VIGIE_GATEWAY_KEY_ENCRYPTION", "VIGIE_CALLS_PSEUDONYM_KEY")
"""Secrets that values in the databases depend on."""
SETTINGS = "settings.env"
_MOUNT = "/var/lib/vigie"
"""A folder owned by the image's user, so that a new volume has the same owner."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A Compose project of this checkout."""

    project: str
    env_file: Path
    image: str
    volumes: dict[str, str]
    """Volume name in the Compose file -> Docker's name."""

    @classmethod
    def of(cls, project: str | None, env_file: Path | None) -> Stack:
        """Read the project from Docker Compose.

        Raises:
            VigieError: Docker or the settings are missing.
        """
        file = (env_file or CHECKOUT / ".env").resolve()
        if not file.is_file():
            raise VigieError(f"There is no {file}.", action="Run ./vigie init, or put the backup's settings.env there.")
        line = [*_compose(project, file), "config", "--format", "json"]
        known: dict[str, Any] = json.loads(_run(line, "Compose's settings"))
        return cls(
            known["name"],
            file,
            known["services"]["training"]["image"],
            {name: volume["name"] for name, volume in known["volumes"].items()},
        )

    def compose(self, *arguments: str) -> list[str]:
        return [*_compose(self.project, self.env_file), *arguments]

    def postgres(self, *command: str) -> list[str]:
        return self.compose("exec", "-T", "postgres", *command)

    def container(self, volume: str, command: str) -> list[str]:
        """Command line that runs a command of ``services.core.backup.archive`` on a volume."""
        name = f"{self.project}-backup-{uuid.uuid4().hex[:8]}"
        limits = ("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
        mount = ("--volume", f"{self.volumes[volume]}:{_MOUNT}")
        module = ("python", "-m", "services.core.backup.archive", command, _MOUNT)
        return ["docker", "run", "--rm", "--interactive", "--name", name, *limits, *mount, self.image, *module]


def backup_stack(stack: Stack, folder: Path) -> manifest.BackupManifest:
    """Write a backup of the project to ``folder``, which the caller has created.

    Raises:
        VigieError: PostgreSQL is not running, or something could not be copied.
    """
    for name in ("files", "databases"):
        (folder / name).mkdir()
    asked = stack.postgres("psql", "-U", "postgres", "-d", "vigie", "-tAc", "SELECT version_num FROM alembic_version")
    revisions = _run(asked, "the schema's version").decode().split()
    with step("what is on its way into the database"):
        for volume in WAL_VOLUMES:
            _save(stack.container(volume, "pack-spools"), folder / "files" / f"{volume}.spools.tar")
    for database in DATABASES:
        with step(f"database {database}"):
            dump = ("pg_dump", "-U", "postgres", "--format=custom", "--no-owner", "--no-acl", database)
            _save(stack.postgres(*dump), folder / "databases" / f"{database}.dump")
    for volume in VOLUMES:
        with step(f"volume {volume}"):
            _save(stack.container(volume, "pack-files"), folder / "files" / f"{volume}.tar")
    settings = folder / SETTINGS
    settings.touch(mode=0o600)
    settings.write_bytes(stack.env_file.read_bytes())
    return manifest.write_backup_manifest(folder, kind="compose", revisions=revisions)


def restore_stack(stack: Stack, folder: Path, *, force: bool) -> manifest.BackupManifest:
    """Restore the project's databases and volumes. Only PostgreSQL is running afterwards.

    Raises:
        VigieError: the backup is damaged or of a newer version, the settings have other secrets, or the project is
            not empty.
    """
    with step("the backup is whole"):
        found = manifest.read_verified_manifest(folder, kind="compose")
    _refuse_other_secrets(stack, folder)
    if not force:
        _refuse_running(stack)
    with step("nothing but PostgreSQL runs"):
        _run(stack.compose("stop"), "stopping the platform")
        _run(stack.compose("create"), "making the volumes")
        _run(stack.compose("up", "--detach", "--wait", "postgres"), "starting PostgreSQL")
    if not force:
        _refuse_not_empty(stack)
    for database in DATABASES:
        with step(f"database {database}"):
            _restore_database(stack, database, folder / "databases" / f"{database}.dump")
    for volume in dict.fromkeys((*VOLUMES, *WAL_VOLUMES)):
        with step(f"volume {volume}"):
            _run(stack.container(volume, "clear"), f"clearing the volume {volume}")
            for name in (f"{volume}.tar", f"{volume}.spools.tar"):
                if (folder / "files" / name).is_file():
                    with (folder / "files" / name).open("rb") as stream:
                        _run(stack.container(volume, "unpack"), f"filling the volume {volume}", given=stream)
    return found


def _restore_database(stack: Stack, database: str, dump: Path) -> None:
    """Recreate a database, with the grants of ``deploy/postgres/databases.sh``."""
    statements = (
        f"DROP DATABASE IF EXISTS {database} WITH (FORCE)",
        f"CREATE DATABASE {database} OWNER {database}",
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
    )
    arguments = [part for statement in statements for part in ("-c", statement)]
    _run(stack.postgres("psql", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-q", *arguments), f"making {database}")
    options = ("--no-owner", f"--role={database}", "--exit-on-error", "--single-transaction")
    with dump.open("rb") as stream:
        line = stack.postgres("pg_restore", "-U", "postgres", "-d", database, *options)
        _run(line, f"filling {database}", given=stream)


def _refuse_other_secrets(stack: Stack, folder: Path) -> None:
    then, now = (_read_settings(file) for file in (folder / SETTINGS, stack.env_file))
    if different := [name for name in SECRETS_IN_DATABASES if then.get(name) != now.get(name)]:
        raise VigieError(
            f"{stack.env_file} has another {' and '.join(different)} than the backup: signing keys and pseudonyms "
            "could not be read.",
            action=f"Put {folder / SETTINGS} in its place.",
        )


def _refuse_running(stack: Stack) -> None:
    running = set(_run(stack.compose("ps", "--services", "--status", "running"), "what runs").decode().split())
    if others := sorted(running - {"postgres"}):
        raise VigieError(
            f"The platform {stack.project} runs: {', '.join(others)}.", action="Use --force to stop and replace it."
        )


def _refuse_not_empty(stack: Stack) -> None:
    question = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'"
    full = [
        f"database {name}"
        for name in DATABASES
        if _run(stack.postgres("psql", "-U", "postgres", "-d", name, "-tAc", question), name).strip() != b"0"
    ]
    full += [
        f"volume {name}"
        for name in ("artifacts", "state")
        if _run(stack.container(name, "count"), name).strip() != b"0"
    ]
    if full:
        raise VigieError(
            f"The platform {stack.project} is not empty: {', '.join(full)}.",
            action="Use another --project, or --force to replace what is there.",
        )


def _read_settings(file: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in file.read_text().splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _compose(project: str | None, env_file: Path) -> list[str]:
    line = ["docker", "compose", "--env-file", str(env_file), "--project-directory", str(CHECKOUT)]
    line += ["--profile", "core", "--profile", "orchestration"]
    return [*line, *(("--project-name", project) if project else ())]


def _run(line: Sequence[str], what: str, given: IO[bytes] | None = None) -> bytes:
    try:
        done = subprocess.run(line, check=False, capture_output=True, stdin=given or subprocess.DEVNULL)
    except FileNotFoundError:
        raise VigieError("Docker is not installed.", action="Install Docker with Compose v2.") from None
    _refuse_failure(done, what)
    return done.stdout


def _save(line: Sequence[str], file: Path) -> None:
    with file.open("wb") as stream:
        done = subprocess.run(line, check=False, stdout=stream, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    _refuse_failure(done, file.name)


def _refuse_failure(done: subprocess.CompletedProcess[bytes], what: str) -> None:
    if done.returncode != 0:
        said = (done.stderr or b"").decode(errors="replace").strip()[-500:]
        raise VigieError(f"{what} did not work: {said}", action="See that the platform is there: docker compose ps")


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]
Compose = Annotated[bool, typer.Option("--compose", help="Of the platform in Docker Compose.")]
Project = Annotated[str | None, typer.Option(help="Compose's project, if it has another name; implies --compose.")]
EnvFile = Annotated[Path | None, typer.Option(help="Compose's settings, if they are not in .env.")]


def backup(folder: Folder, compose: Compose = False, project: Project = None, env_file: EnvFile = None) -> None:
    """Copy databases, models, data and secrets into a new folder. The platform may run."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VigieError(f"{folder} is there already.", expected="a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # contains secrets
    try:
        if compose or project:
            made = backup_stack(Stack.of(project, env_file), folder)
        else:
            made = backup_local.backup_home(settings(), folder)
    except (OSError, sqlite3.Error) as error:
        raise disk_error(error, folder) or error from error
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
        stack = Stack.of(project, env_file)
        found = restore_stack(stack, folder, force=force)
        start = "docker compose up -d --wait"
    else:
        found = backup_local.restore_home(settings(), folder, force=force)
        start = "./vigie up"
    out.print(f"Restored as of {found.made:%Y-%m-%d %H:%M:%S} UTC. Start it with: {start}")
