"""The landing zone: raw files as received, numbered in order of arrival and never modified."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from services.core.io import atomic_write

Origin = Literal["official", "folder", "simulated"]

_NAME = re.compile(r"(?P<number>\d{4,})-(?P<origin>official|folder|simulated)-(?P<digest>[0-9a-f]{16})-(?P<name>.+)")
_UNNUMBERED = 10**9
_SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class LandedFile:
    """A file in the landing zone."""

    path: Path
    number: int
    origin: Origin
    digest: str
    name: str
    """File name given by the publisher."""


def list_files(folder: Path) -> list[LandedFile]:
    """All files in order of arrival, hidden ones excluded."""
    files = [_parse(path) for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return sorted(files, key=lambda file: (file.number, file.name))


def effective_files(files: list[LandedFile]) -> list[LandedFile]:
    """The files to ingest: if there are real files, simulated ones are ignored; the two are never mixed."""
    real = [file for file in files if file.origin != "simulated"]
    return real or files


_CONFIRMED = ".confirmed"


def confirmed_codes(folder: Path) -> frozenset[str]:
    """Codes of doubtful values that persons have confirmed, in the landing folder: a stage's result depends on nothing
    else."""
    path = folder / _CONFIRMED
    return frozenset(path.read_text(encoding="utf-8").split()) if path.is_file() else frozenset()


def confirm(folder: Path, codes: Iterable[str]) -> None:
    """Add codes to the confirmed ones. The file is replaced, because landing folders share theirs as hard links."""
    both = sorted(confirmed_codes(folder) | set(codes))
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / _CONFIRMED, "".join(f"{code}\n" for code in both))


def add_file(folder: Path, origin: Origin, name: str, content: BinaryIO) -> LandedFile | None:
    """Add a file; returns None if its content has landed before."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".arriving"
    digest = hashlib.sha256()
    try:
        with part.open("wb") as stream:
            while block := content.read(1 << 20):
                digest.update(block)
                stream.write(block)
    except BaseException:
        part.unlink()
        raise
    short = digest.hexdigest()[:16]
    there = list_files(folder)
    if any(file.digest == short for file in there):
        part.unlink()
        return None
    number = max((file.number for file in there if file.number < _UNNUMBERED), default=0) + 1
    path = folder / f"{number:04d}-{origin}-{short}-{safe_file_name(name)}"
    part.rename(path)
    return _parse(path)


def is_simulated(name: str) -> bool:
    """Whether the file name marks a simulator's output; all of our simulators use such names."""
    return _SIMULATED in Path(name).name.lower()


def _parse(path: Path) -> LandedFile:
    found = _NAME.fullmatch(path.name)
    if found is None:
        origin: Origin = "simulated" if is_simulated(path.name) else "folder"
        return LandedFile(path, _UNNUMBERED, origin, "", path.name)
    return LandedFile(path, int(found["number"]), _origin(found["origin"]), found["digest"], found["name"])


def _origin(word: str) -> Origin:
    if word == "official":
        return "official"
    return "simulated" if word == "simulated" else "folder"


def safe_file_name(name: str) -> str:
    """The last part of a path, as a safe file name on any system."""
    return re.sub(r"[^\w.()-]+", "_", Path(name.replace("\\", "/")).name)[-120:] or "file"
