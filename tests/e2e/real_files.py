"""Official files for the day's retraining: real ones where they lie beside the checkout, else ones that the
simulator writes in the same layout from another seed."""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from services.core import use_case_registry
from services.core.settings import CHECKOUT
from tests.e2e.stack import Stack

if TYPE_CHECKING:
    from services.core.params import Simulate

USE_CASE = "fire_response"
FOLDER = f"/var/lib/vigie/drop/{USE_CASE}"
REAL = ("lfb-incidents-2017-01-to-04.csv", "lfb-incidents-2023-h1-sample.csv", "lfb-stations.csv")
UNPACK = """\
import sys, tarfile
tarfile.open(fileobj=sys.stdin.buffer, mode="r|").extractall(sys.argv[1])  # our own files; Python 3.11.2 has no filters
"""


def bring_files(stack: Stack, folder: Path) -> str:
    """Put files of ``USE_CASE`` where the ingestion service may read them; that folder's path."""
    shared = Path(os.environ.get("VIGIE_SHARED_DATA", CHECKOUT.parent / "shared" / "data")) / USE_CASE
    files = [shared / name for name in REAL]
    if not all(file.is_file() for file in files):
        files = simulated_files(folder)
    for file in files:
        stack.put("ingestion", f"{FOLDER}/{file.name}", file.read_bytes())
    return FOLDER


def bring_simulated_files(stack: Stack, use_case: str, folder: Path, *, seed: int, share: float) -> str:
    """Put files of its simulator, made from another seed, where the ingestion service may read them: ``share`` of the
    rows that it makes otherwise. In one archive, since images are many files."""
    rows = round(_simulation(use_case).rows * share)
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as packed:
            for path in simulated_files(folder, use_case, seed=seed, rows=rows):
                packed.add(path, arcname=path.name)
        archive.seek(0)
        place = f"/var/lib/vigie/drop/{use_case}-{seed}"
        stack.run_in("ingestion", "python", "-c", UNPACK, place, given=archive.read())
    return place


def simulated_files(folder: Path, use_case: str = USE_CASE, *, seed: int = 11, rows: int = 20_000) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _simulation(use_case).model_copy(update={"seed": seed, "rows": rows})
    return sorted(use_case_registry.get(use_case).simulator.write(folder, **chosen.model_dump()))


def _simulation(use_case: str) -> Simulate:
    from services.core import params

    return params.load_params(CHECKOUT).including(use_case).of(use_case).ingest.simulate
