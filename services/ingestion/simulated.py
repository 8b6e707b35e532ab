"""The simulator as a source: files in the official layout where no real ones are at hand."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from services.core.params import Simulate
from services.core.usecases.contract import UseCase
from services.ingestion import landing
from services.ingestion.landing import Landed
from services.ingestion.source import Fetched


def simulate(use_case: UseCase, parameters: Simulate, folder: Path) -> list[Landed]:
    """Let the use case's simulator write into an empty landing folder."""
    with tempfile.TemporaryDirectory() as scratch:
        written = use_case.simulator.write(Path(scratch), **parameters.model_dump())
        for path in written:
            with path.open("rb") as stream:
                landing.add(folder, "simulated", path.name, stream)
    return landing.landed(folder)


class Simulator:
    """The landing folder then holds exactly what ``params.yaml`` asks the simulator for."""

    name = "simulator"

    def __init__(self, use_case: UseCase, parameters: Simulate) -> None:
        self._use_case = use_case
        self._parameters = parameters

    def available(self) -> bool:
        return True

    def fetch(self, folder: Path) -> Fetched:
        with tempfile.TemporaryDirectory() as scratch:
            wanted = {file.digest: file for file in simulate(self._use_case, self._parameters, Path(scratch))}
            there = {file.digest for file in landing.landed(folder)} if folder.is_dir() else set()
            if there == set(wanted):
                return Fetched(known=tuple(file.name for file in wanted.values()))
            for file in landing.landed(folder) if folder.is_dir() else []:
                file.path.unlink()
            folder.mkdir(parents=True, exist_ok=True)
            for file in wanted.values():
                shutil.move(file.path, folder / file.path.name)
            return Fetched(added=tuple(file.name for file in wanted.values()))
