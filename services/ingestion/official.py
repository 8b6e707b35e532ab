"""The official download as a source."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.core.errors import VigieError
from services.core.usecases.contract import OfficialFile, UseCase
from services.ingestion import landing
from services.ingestion.arrival import Arrivals
from services.ingestion.documents import documents
from services.ingestion.download import Limits, answers, download
from services.ingestion.landing import Landed
from services.ingestion.source import Fetched


class Official:
    """Every official file of the use case, fetched again only when it changed. All are fetched before
    one lands, so a failure changes nothing."""

    name = "official"

    def __init__(self, use_case: UseCase, cache: Path, limits: Limits) -> None:
        self._use_case = use_case
        self._cache = cache
        self._limits = limits

    def available(self) -> bool:
        files = self._use_case.official
        return bool(files) and answers(files[0].url, self._limits)

    def fetch(self, folder: Path) -> Fetched:
        files = self._use_case.official
        if not files:
            raise VigieError(
                f"{self._use_case.name} has no official download.", action="Use --source with a folder, or simulator."
            )
        bodies = [
            download(file.url, self._cache / _short(file.url), self._limits, sha256=file.sha256) for file in files
        ]
        arrivals = Arrivals(folder, self._cache / "workbooks", self._use_case.tables)
        for file, body in zip(files, bodies, strict=True):
            _land(arrivals, file, body)
        return Fetched(tuple(arrivals.added), tuple(arrivals.known), arrivals.ignored)


def _land(arrivals: Arrivals, file: OfficialFile, body: Path) -> None:
    wanted = [document for document in documents(body, arrivals.is_image) if arrivals.wanted(document)]
    pictured = next(arrivals.images(body), None) is not None
    if pictured:
        arrivals.land_images(body, "official")
    if not wanted and not pictured:
        raise VigieError(
            f"{file.url} is not in a known layout: {'; '.join(arrivals.ignored.values()) or 'it is empty'}.",
            expected="a file with the header of " + ", ".join(table.name for table in arrivals.tables),
            action="See what the publisher changed; the use case's tables may need new marks.",
        )
    for document in wanted:
        name = _name(file) if document.name == body.name else document.name.removeprefix(f"{body.name}/")
        for newest in arrivals.land(document, "official", name):
            _retire_older(arrivals.folder, newest)


def _retire_older(folder: Path, newest: Landed) -> None:
    """A publisher's file is whole: its new edition replaces the old one, rows taken back included."""
    for file in landing.landed(folder):
        if file.origin == "official" and file.name == newest.name and file.number < newest.number:
            file.path.unlink()


def _name(file: OfficialFile) -> str:
    return unquote(Path(urlsplit(file.url).path).name) or file.title


def _short(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
