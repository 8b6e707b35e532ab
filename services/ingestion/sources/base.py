"""Interface and result of a source, and the writer to the landing zone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

import structlog

from services.core.contract.use_case import Table
from services.core.errors import VigieError
from services.core.io import replacing_folder
from services.core.raw_files import landing
from services.core.raw_files.documents import Document
from services.core.raw_files.images import ImageFile, is_image_of, land_image_archive, list_image_files
from services.core.raw_files.landing import LandedFile, Origin
from services.core.raw_files.table_detection import NO_KNOWN_SHEET, match_header, match_text, workbook_texts


@dataclass(frozen=True, slots=True)
class FetchResult:
    """Result of a fetch, by file name."""

    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """Files whose content had landed before."""
    ignored: dict[str, str] = field(default_factory=dict)
    """File that belongs to no table -> reason."""


class Source(Protocol):
    """A source of raw files."""

    @property
    def name(self) -> str: ...

    def available(self) -> bool:
        """Whether there is anything to fetch; fast, never raises."""
        ...

    def fetch(self, folder: Path) -> FetchResult:
        """Add new files to the landing folder.

        Raises:
            VigieError: the source exists but cannot be read.
        """
        ...


@dataclass(slots=True)
class LandingWriter:
    """Writes documents to ``folder`` and records the result of each. ``scratch`` is an empty folder for the texts of
    workbooks, which are read once and then deleted."""

    folder: Path
    scratch: Path
    tables: Sequence[Table]
    added: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)

    def wanted(self, document: Document) -> bool:
        """Whether the document may contain a table; records the reason if not.

        Raises:
            VigieError: a .csv file that is no text.
        """
        why = match_header(document, self.tables).reason
        if not why and document.kind == "workbook":
            try:
                why = "" if self._texts(document) else NO_KNOWN_SHEET
            except VigieError as error:
                why = error.problem
        if why:
            self.ignored[document.name] = why
        return not why

    def is_image(self, name: str) -> bool:
        return is_image_of(name, self.tables)

    def images(self, path: Path) -> Iterator[ImageFile]:
        return list_image_files(path, self.tables)

    def land_images(self, path: Path, origin: Origin) -> None:
        """Land the new image files below ``path`` as one archive."""
        wanted = (file for file in self.images(path) if origin == "simulated" or not file.simulated)
        landed, known = land_image_archive(self.folder, origin, wanted)
        if landed is not None:
            self.added.append(landed.name)
        if known:
            self.known.append(f"{known} image files")

    def land(self, document: Document, origin: Origin, name: str) -> list[LandedFile]:
        """Land a document under ``name``; returns the new files."""
        new: list[LandedFile] = []
        if document.kind == "workbook":
            stem = PurePosixPath(name).stem
            for path in self._texts(document):
                with path.open("rb") as stream:
                    new += self._noted(landing.add_file(self.folder, origin, f"{stem}-{path.name}", stream), name)
        else:
            with document.open() as stream:
                new += self._noted(landing.add_file(self.folder, origin, name, stream), name)
        return new

    def _noted(self, landed: LandedFile | None, name: str) -> list[LandedFile]:
        (self.known if landed is None else self.added).append(name)
        return [] if landed is None else [landed]

    def _texts(self, document: Document) -> list[Path]:
        folder = self.scratch / hashlib.sha256(document.name.encode()).hexdigest()[:32]
        if not folder.is_dir():
            structlog.get_logger().info("reading a workbook", file=document.name)
            with replacing_folder(folder) as part:
                for number, (title, content) in enumerate(workbook_texts(document, self.tables, self.scratch), start=1):
                    why = match_text(content, self.tables).reason
                    if why:
                        self.ignored[f"{document.name}/{title}"] = why
                        continue
                    file = part / f"{number:02d}-{landing.safe_file_name(title)}.csv"
                    file.write_text(content, encoding="utf-8", newline="")
        return sorted(folder.iterdir())
