"""The worlds that calls come from: each use case's own simulator writes official files, ingestion's reader reads
them, and the use case makes its examples of them. So the hidden truth of a simulated call is that of training
files."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from services.core.errors import VigieError
from services.core.usecases import registry
from services.simulator.examples import Example, Pool, examples_of

_READER = (sys.executable, "-m", "services.ingestion.read")
"""Another service's program, not its code: it reads files of all kinds, and its memory goes with it."""
SHORTEST_DAYS, LONGEST_DAYS = 14, 400
LONGEST_REPLAY = timedelta(days=36_500)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class World:
    """What a use case's simulator is asked for."""

    use_case: str
    drift: tuple[str, ...]
    rows: int
    seed: int
    begin: datetime
    length: timedelta

    def write(self, folder: Path) -> None:
        """
        Raises:
            VigieError: the use case's simulator knows no such drift.
        """
        use_case = registry.get(self.use_case)
        first = (self.begin - timedelta(days=1)).astimezone(ZoneInfo(use_case.zone or "UTC")).date()
        days = min(LONGEST_DAYS, max(SHORTEST_DAYS, math.ceil(self.length / timedelta(days=1)) + 3))
        folder.mkdir(parents=True, exist_ok=True)
        most = getattr(use_case.simulator, "ROWS_A_DAY", None)
        rows = self.rows if most is None else min(self.rows, most * days)
        use_case.simulator.write(
            folder, seed=self.seed, rows=rows, start=first.isoformat(), days=days, drift=self.drift
        )


def pools(worlds: Mapping[str, World]) -> dict[str, Pool]:
    """A pool of each world. Takes seconds: for a thread.

    Raises:
        VigieError: files cannot be written or read.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-simulator-") as scratch:
        folders = {name: Path(scratch) / f"{number}" for number, name in enumerate(worlds)}
        for name, world in worlds.items():
            world.write(folders[name] / "files")
        read = [(worlds[name].use_case, folder / "files", folder / "tables") for name, folder in folders.items()]
        _read(read)
        return {
            name: Pool(registry.get(world.use_case), _examples(world.use_case, folders[name] / "tables"))
            for name, world in worlds.items()
        }


def replayed(use_case: str, folder: Path, horizon: timedelta) -> list[Example]:
    """The calls of a folder of official files, in the order of time, as far as ``horizon`` after the first one.

    Raises:
        VigieError: the files cannot be read, or hold none.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-simulator-") as scratch:
        _read([(use_case, folder.resolve(), Path(scratch))])
        found = _examples(use_case, Path(scratch), min(horizon, LONGEST_REPLAY))
    if not found:
        raise VigieError(f"{folder} holds no call of {use_case}.", expected="official files with rows in them")
    return found


def _read(wanted: Sequence[tuple[str, Path, Path]]) -> None:
    asked = json.dumps([{"use_case": name, "folder": str(folder), "into": str(into)} for name, folder, into in wanted])
    done = subprocess.run(_READER, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["the reader ended without a word"]
        raise VigieError(f"The files cannot be read: {lines[0]}" if done.returncode == 1 else "\n".join(lines[-5:]))


def _examples(use_case: str, folder: Path, horizon: timedelta | None = None) -> list[Example]:
    import pandas as pd  # noqa: PLC0415 - half a second that a start need not wait for

    tables = {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    return examples_of(registry.get(use_case), tables, horizon)
