"""How a document reaches the landing folder: text as it is, workbooks as the text of their tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import structlog

from services.core.io import replacing_folder
from services.core.usecases.contract import Table
from services.ingestion import landing
from services.ingestion.documents import Document
from services.ingestion.image_files import ImageFile, image_files, is_image, land_images
from services.ingestion.landing import Landed, Origin
from services.ingestion.sheets import NO_SHEET, refusal, texts


@dataclass(slots=True)
class Arrivals:
    """Lands documents in ``folder`` and notes what became of each. ``cache`` keeps the texts of
    workbooks, by content, because reading one again takes minutes."""

    folder: Path
    cache: Path
    tables: Sequence[Table]
    added: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)

    def wanted(self, document: Document) -> bool:
        """Whether it may hold a table; notes why not.

        Raises:
            VigieError: it should hold one and is damaged.
        """
        why = refusal(document, self.tables)
        if not why and document.kind == "workbook" and not self._texts(document):
            why = NO_SHEET
        if why:
            self.ignored[document.name] = why
        return not why

    def is_image(self, name: str) -> bool:
        return is_image(name, self.tables)

    def images(self, path: Path) -> Iterator[ImageFile]:
        return image_files(path, self.tables)

    def land_images(self, path: Path, origin: Origin) -> None:
        """Land the image files below ``path`` that are new, as one archive."""
        wanted = (file for file in self.images(path) if origin == "simulated" or not file.simulated)
        landed, known = land_images(self.folder, origin, wanted)
        if landed is not None:
            self.added.append(landed.name)
        if known:
            self.known.append(f"{known} image files")

    def land(self, document: Document, origin: Origin, name: str) -> list[Landed]:
        """Land a wanted document under ``name``; returns what is new."""
        new: list[Landed] = []
        if document.kind == "workbook":
            stem = PurePosixPath(name).stem
            for path in self._texts(document):
                with path.open("rb") as stream:
                    new += self._noted(landing.add(self.folder, origin, f"{stem}-{path.name}", stream), name)
        else:
            with document.open() as stream:
                new += self._noted(landing.add(self.folder, origin, name, stream), name)
        return new

    def _noted(self, landed: Landed | None, name: str) -> list[Landed]:
        (self.known if landed is None else self.added).append(name)
        return [] if landed is None else [landed]

    def _texts(self, document: Document) -> list[Path]:
        marks = repr([table.marks for table in self.tables]).encode()
        data = document.read()
        folder = self.cache / hashlib.sha256(data + marks).hexdigest()[:32]
        if not folder.is_dir():
            structlog.get_logger().info("reading a workbook", file=document.name, megabytes=round(len(data) / 1e6, 1))
            with replacing_folder(folder) as part:
                for number, (title, content) in enumerate(texts(document, self.tables), start=1):
                    file = part / f"{number:02d}-{landing.plain(title)}.csv"
                    file.write_text(content, encoding="utf-8", newline="")
        return sorted(folder.iterdir())
