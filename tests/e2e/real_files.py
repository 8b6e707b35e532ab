"""Official files for the day's retraining: real ones where they lie beside the checkout, else ones that the
simulator writes in the same layout from another seed."""

from __future__ import annotations

import os
from pathlib import Path

from services.core.settings import CHECKOUT
from services.core.usecases import registry
from tests.e2e.stack import Stack

USE_CASE = "fire_response"
FOLDER = f"/var/lib/vigie/drop/{USE_CASE}"
REAL = ("lfb-incidents-2017-01-to-04.csv", "lfb-incidents-2023-h1-sample.csv", "lfb-stations.csv")


def bring_files(stack: Stack, folder: Path) -> str:
    """Put files of ``USE_CASE`` where the ingestion service may read them; that folder's path."""
    shared = Path(os.environ.get("VIGIE_SHARED_DATA", CHECKOUT.parent / "shared" / "data")) / USE_CASE
    files = [shared / name for name in REAL]
    if not all(file.is_file() for file in files):
        files = simulated_files(folder)
    for file in files:
        stack.put("ingestion", f"{FOLDER}/{file.name}", file.read_bytes())
    return FOLDER


def simulated_files(folder: Path) -> list[Path]:
    from services.core import params
    from services.ingestion.simulated import Simulator

    chosen = params.load(CHECKOUT).of(USE_CASE).ingest.simulate.model_copy(update={"seed": 11, "rows": 20_000})
    folder.mkdir(parents=True, exist_ok=True)
    Simulator(registry.get(USE_CASE), chosen).fetch(folder)
    return sorted(path for path in folder.iterdir() if path.is_file())
