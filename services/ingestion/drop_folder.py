"""A folder of raw files as a source. What is in it is told by the files' headers."""

from __future__ import annotations

from pathlib import Path

from services.core.errors import VigieError
from services.core.usecases.contract import UseCase
from services.ingestion import landing
from services.ingestion.arrival import Arrivals
from services.ingestion.documents import documents
from services.ingestion.landing import Origin
from services.ingestion.source import Fetched


class DropFolder:
    """Takes every file of the folder that belongs to one of the use case's tables."""

    name = "folder"

    def __init__(self, use_case: UseCase, path: Path, cache: Path) -> None:
        self._use_case = use_case
        self._path = path
        self._cache = cache

    def available(self) -> bool:
        return self._path.is_dir() and any(file.is_file() for file in self._path.rglob("*"))

    def fetch(self, folder: Path) -> Fetched:
        arrivals = Arrivals(folder, self._cache, self._use_case.tables)
        found = [document for document in documents(self._path, arrivals.is_image) if arrivals.wanted(document)]
        pictured = next(arrivals.images(self._path), None) is not None
        if not found and not pictured:
            raise _nothing(self._use_case, self._path, arrivals.ignored)
        real = [document for document in found if not landing.says_simulated(document.name)]
        real_images = pictured and any(not image.simulated for image in arrivals.images(self._path))
        origin: Origin = "folder" if real or real_images else "simulated"
        for document in found:
            if origin == "folder" and document not in real:
                arrivals.ignored[document.name] = "simulated, and there are real files"
            else:
                arrivals.land(document, origin, document.name)
        if pictured:
            arrivals.land_images(self._path, origin)
        return Fetched(tuple(arrivals.added), tuple(arrivals.known), arrivals.ignored)


def _nothing(use_case: UseCase, path: Path, ignored: dict[str, str]) -> VigieError:
    seen = "; ".join(f"{name}: {why}" for name, why in list(ignored.items())[:5])
    return VigieError(
        f"{path} holds no file of {use_case.name}" + (f" ({seen})." if seen else ": it is empty."),
        expected="CSV, zip or xlsx files with the header of " + ", ".join(table.name for table in use_case.tables),
        action="Put the official files into the folder; their names do not matter.",
    )
