"""Local sources: the drop folder and the simulator."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.params import Simulate
from services.core.raw_files import landing
from services.core.raw_files.documents import list_documents
from services.core.raw_files.ingest_report import ignored_text
from services.core.raw_files.landing import Origin
from services.ingestion.sources.base import FetchResult, LandingWriter
from services.ingestion.stage.ingest import simulate_files


class FolderSource:
    """Lands every file of the folder that matches one of the use case's tables."""

    name = "folder"

    def __init__(self, use_case: UseCase, path: Path) -> None:
        self._use_case = use_case
        self._path = path

    def available(self) -> bool:
        return self._path.is_dir() and any(file.is_file() for file in self._path.rglob("*"))

    def fetch(self, folder: Path) -> FetchResult:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # next to the landing folder: the texts of a large workbook may not fit into the temporary folder
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            return self._land(LandingWriter(folder, Path(scratch), self._use_case.data.tables))

    def _land(self, arrivals: LandingWriter) -> FetchResult:
        found = [document for document in list_documents(self._path, arrivals.is_image) if arrivals.wanted(document)]
        pictured = next(arrivals.images(self._path), None) is not None
        if not found and not pictured:
            raise _empty_folder(self._use_case, self._path, arrivals.ignored)
        real = [document for document in found if not landing.is_simulated(document.name)]
        real_images = pictured and any(not image.simulated for image in arrivals.images(self._path))
        origin: Origin = "folder" if real or real_images else "simulated"
        for document in found:
            if origin == "folder" and document not in real:
                arrivals.ignored[document.name] = "simulated, and there are real files"
            else:
                arrivals.land(document, origin, document.name)
        if pictured:
            arrivals.land_images(self._path, origin)
        return FetchResult(tuple(arrivals.added), tuple(arrivals.known), arrivals.ignored)


def _empty_folder(use_case: UseCase, path: Path, ignored: dict[str, str]) -> VigieError:
    seen = ignored_text(ignored)
    return VigieError(
        f"{path} holds no file of {use_case.name}" + (f": {seen}." if seen else ": it is empty."),
        expected="CSV, zip or xlsx files with the header of " + ", ".join(table.name for table in use_case.data.tables),
        action="Put the official files into the folder; their names do not matter.",
    )


class SimulatorSource:
    """Generates files with the use case's simulator; the landing folder then matches ``params.yaml`` exactly."""

    name = "simulator"

    def __init__(self, use_case: UseCase, parameters: Simulate) -> None:
        self._use_case = use_case
        self._parameters = parameters

    def available(self) -> bool:
        return True

    def fetch(self, folder: Path) -> FetchResult:
        with tempfile.TemporaryDirectory() as scratch:
            wanted = {file.digest: file for file in simulate_files(self._use_case, self._parameters, Path(scratch))}
            there = {file.digest for file in landing.list_files(folder)} if folder.is_dir() else set()
            if there == set(wanted):
                return FetchResult(known=tuple(file.name for file in wanted.values()))
            for file in landing.list_files(folder) if folder.is_dir() else []:
                file.path.unlink()
            folder.mkdir(parents=True, exist_ok=True)
            for file in wanted.values():
                shutil.move(file.path, folder / file.path.name)
            return FetchResult(added=tuple(file.name for file in wanted.values()))
