"""The landing folder: raw files as they came, in the order of their arrival.

A file's name says all that is known about it: ``0003-official-1f0c9d…-usagers.csv`` is the third that
came, from the official source, with the first digits of its SHA-256. Files that a person puts there
by hand keep their names and come last. Landed files are never written to again.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

Origin = Literal["official", "folder", "simulated"]

_NAME = re.compile(r"(?P<number>\d{4,})-(?P<origin>official|folder|simulated)-(?P<digest>[0-9a-f]{16})-(?P<name>.+)")
_BY_HAND = 10**9
_SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Landed:
    path: Path
    number: int
    origin: Origin
    digest: str
    name: str
    """As its publisher called it."""


def landed(folder: Path) -> list[Landed]:
    """All files in the order of their arrival, hidden ones left out."""
    files = [_parse(path) for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return sorted(files, key=lambda file: (file.number, file.name))


def in_force(files: list[Landed]) -> list[Landed]:
    """Real files and simulated ones are never mixed: where there is a real one, only they count."""
    real = [file for file in files if file.origin != "simulated"]
    return real or files


def add(folder: Path, origin: Origin, name: str, content: BinaryIO) -> Landed | None:
    """Land a file, or return None when the same content is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".arriving"
    digest = hashlib.sha256()
    with part.open("wb") as stream:
        while block := content.read(1 << 20):
            digest.update(block)
            stream.write(block)
    short = digest.hexdigest()[:16]
    there = landed(folder)
    if any(file.digest == short for file in there):
        part.unlink()
        return None
    number = max((file.number for file in there if file.number < _BY_HAND), default=0) + 1
    path = folder / f"{number:04d}-{origin}-{short}-{plain(name)}"
    part.rename(path)
    return _parse(path)


def says_simulated(name: str) -> bool:
    """Whether a file's own name says that a simulator wrote it; all of ours do."""
    return _SIMULATED in Path(name).name.lower()


def _parse(path: Path) -> Landed:
    found = _NAME.fullmatch(path.name)
    if found is None:
        origin: Origin = "simulated" if says_simulated(path.name) else "folder"
        return Landed(path, _BY_HAND, origin, "", path.name)
    return Landed(path, int(found["number"]), _origin(found["origin"]), found["digest"], found["name"])


def _origin(word: str) -> Origin:
    if word == "official":
        return "official"
    return "simulated" if word == "simulated" else "folder"


def plain(name: str) -> str:
    """The last part of a path, safe as a file name on any system."""
    return re.sub(r"[^\w.()-]+", "_", Path(name.replace("\\", "/")).name)[-120:] or "file"
