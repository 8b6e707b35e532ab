"""Image tables: finds image files in folders and archives, reads them and packs them for the landing zone."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pandas as pd

from services.core.contract.use_case import Table
from services.core.raw_files import landing
from services.core.raw_files.landing import LandedFile, Origin

IMAGE_ARCHIVE = "images.zip"
_NESTED = 3
_MAX_IMAGE_BYTES = 64_000_000
"""Size limit of an image; larger files are read as empty and rejected."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
_MIDNIGHT = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file. ``name`` is the path below the folder, archives included; ``columns`` are parsed from the name."""

    name: str
    table: Table
    columns: dict[str, str]
    size: int
    checksum: Callable[[], int]
    read: Callable[[], bytes]

    @property
    def simulated(self) -> bool:
        return any(landing.is_simulated(part) for part in PurePosixPath(self.name).parts)


def image_tables(tables: Sequence[Table]) -> list[Table]:
    return [table for table in tables if table.image_name_pattern]


def is_image_of(name: str, tables: Sequence[Table]) -> bool:
    """Whether the file name belongs to an image table."""
    return _match(name, tables) is not None


def list_image_files(path: Path, tables: Sequence[Table]) -> Iterator[ImageFile]:
    """Yield all files below a folder, or in one archive, whose names belong to an image table. A file in an archive
    has to be read before the next one is requested."""
    if not image_tables(tables):
        return
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        name = file.name if path.is_file() else file.relative_to(path).as_posix()
        if any(part.startswith((".", "~$")) for part in PurePosixPath(name).parts):
            continue
        found = _match(name, tables)
        if found is not None:
            table, columns = found
            yield ImageFile(name, table, columns, file.stat().st_size, _checksum(file.read_bytes), file.read_bytes)
        elif zipfile.is_zipfile(file):
            with ExitStack() as stack:
                yield from _inside(stack.enter_context(zipfile.ZipFile(file)), name, tables, 1)


def read_image_tables(files: Iterator[ImageFile]) -> Iterator[tuple[Table, pd.DataFrame]]:
    """One frame per table: columns from the names, ``image`` (bytes) and ``line``, the file's number."""
    rows: dict[str, list[dict[str, object]]] = {}
    tables: dict[str, Table] = {}
    for file in files:
        tables[file.table.name] = file.table
        found = rows.setdefault(file.table.name, [])
        found.append({**file.columns, "image": _content(file), "line": len(found) + 1})
    for name, table in tables.items():
        yield table, pd.DataFrame(rows[name])


def land_image_archive(folder: Path, origin: Origin, files: Iterator[ImageFile]) -> tuple[LandedFile | None, int]:
    """Land the files that have not landed before as one archive. Returns it, or None if nothing is new, and the number
    of files that had landed before."""
    there = _archived_images(folder)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".packing"
    added = known = 0
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as pack:
            for file in files:
                own = PurePosixPath(file.name).name
                key = (own, file.size, file.checksum())
                if key in there:
                    known += 1
                    continue
                there.add(key)
                pack.writestr(zipfile.ZipInfo(f"{added // 1_000:03d}/{own}", _MIDNIGHT), _content(file))
                added += 1
        if not added:
            return None, known
        with part.open("rb") as stream:
            return landing.add_file(
                folder, origin, ("simulated-" if origin == "simulated" else "") + IMAGE_ARCHIVE, stream
            ), known
    finally:
        part.unlink(missing_ok=True)


def _archived_images(folder: Path) -> set[tuple[str, int, int]]:
    """Name, size and checksum of every file in the landed archives."""
    found: set[tuple[str, int, int]] = set()
    for file in landing.list_files(folder) if folder.is_dir() else []:
        if zipfile.is_zipfile(file.path):
            with zipfile.ZipFile(file.path) as archive:
                found |= {(PurePosixPath(m.filename).name, m.file_size, m.CRC) for m in archive.infolist()}
    return found


def _inside(archive: zipfile.ZipFile, name: str, tables: Sequence[Table], depth: int) -> Iterator[ImageFile]:
    for member in sorted(archive.infolist(), key=lambda info: info.filename):
        inner = f"{name}/{member.filename}"
        if member.is_dir() or PurePosixPath(member.filename).name.startswith((".", "~$")):
            continue
        found = _match(member.filename, tables)
        if found is not None:
            table, columns = found

            def read(member: zipfile.ZipInfo = member) -> bytes:
                return archive.read(member)

            yield ImageFile(inner, table, columns, member.file_size, lambda member=member: member.CRC, read)  # type: ignore[misc]
        elif member.filename.lower().endswith(".zip") and depth < _NESTED and member.file_size <= 1 << 31:
            try:
                nested = zipfile.ZipFile(io.BytesIO(archive.read(member)))
            except _DAMAGE:
                continue  # reported with the folder's documents
            with nested:
                yield from _inside(nested, inner, tables, depth + 1)


def _content(file: ImageFile) -> bytes:
    """The file's bytes; empty if damaged or too large, so that only the row is rejected, not the archive."""
    if file.size > _MAX_IMAGE_BYTES:
        return b""
    try:
        return file.read()
    except _DAMAGE:
        return b""


def _checksum(read: Callable[[], bytes]) -> Callable[[], int]:
    return lambda: zlib.crc32(read())


def _match(name: str, tables: Sequence[Table]) -> tuple[Table, dict[str, str]] | None:
    own = PurePosixPath(name).name
    for table in tables:
        if table.image_name_pattern and (found := _pattern(table.image_name_pattern).fullmatch(own)) is not None:
            return table, found.groupdict()
    return None


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)
