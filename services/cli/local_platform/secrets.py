"""The secrets of a platform of local processes, made at its first start: ``VIGIE_HOME/secrets.env``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.cli.commands.init import SECRETS
from services.core.errors import VigieError
from services.core.io import atomic_write
from services.core.paths import VigiePaths

LOCAL_SECRETS = (
    "VIGIE_SERVICE_TOKEN",
    "VIGIE_GATEWAY_ADMIN_PASSWORD",
    "VIGIE_GATEWAY_KEY_ENCRYPTION",
    "VIGIE_CALLS_PSEUDONYM_KEY",
    "VIGIE_REGISTRY_ADMIN_PASSWORD",
    "VIGIE_REGISTRY_WRITER_PASSWORD",
    "VIGIE_REGISTRY_READER_PASSWORD",
    "VIGIE_REGISTRY_SECRET_KEY",
    "VIGIE_AIRFLOW_JWT_SECRET",
    "VIGIE_AIRFLOW_PASSWORD",
)
"""Those of the platform's secrets that local processes need."""


@dataclass(frozen=True, slots=True)
class Secrets:
    values: Mapping[str, str]
    first: bool
    """Whether they were made just now."""

    def only(self, *names: str) -> dict[str, str]:
        """What one program gets to know."""
        return {name: self.values[name] for name in names}


def file_path(home: VigiePaths) -> Path:
    return home.root / "secrets.env"


def ensure(home: VigiePaths) -> Secrets:
    """The home's secrets; those that are not there yet are made. A variable of the environment wins.

    Raises:
        VigieError: the file can be read by others, so its secrets may be known.
    """
    file = file_path(home)
    kept = read(home)
    first = not kept
    missing = [name for name in LOCAL_SECRETS if name not in kept]
    if missing:
        kept |= {name: SECRETS[name]() for name in missing}
        _write(file, kept)
    return Secrets({**kept, **{name: os.environ[name] for name in LOCAL_SECRETS if os.environ.get(name)}}, first)


def value(home: VigiePaths, name: str) -> str:
    """One secret of a home that has been started; empty where it has none."""
    return os.environ.get(name) or read(home).get(name, "")


def read(home: VigiePaths) -> dict[str, str]:
    """What the file has; nothing where there is none."""
    file = file_path(home)
    if not file.exists():
        return {}
    if file.stat().st_mode & 0o077:
        raise VigieError(
            f"{file} can be read by others.",
            expected="a file that only you can read",
            action=f"Find out who read it, then run: chmod 600 {file} (or remove it to have new secrets made).",
        )
    pairs = (line.partition("=") for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _write(file: Path, values: Mapping[str, str]) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    atomic_write(file, f"# Made by ./vigie up. Who has this file has the platform.\n{lines}", mode=0o600)
