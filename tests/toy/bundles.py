"""Examples and a trained bundle of the toy use case, in memory or in a folder, in about a second."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from services.core.params import Train
from services.training.stage.train import train
from tests.toy import raw, simulator
from tests.toy.declaration import USE_CASE


def make_examples(rows: int = 1_500, seed: int = 1, drift: tuple[str, ...] = ()) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        path = simulator.write(Path(folder), seed=seed, rows=rows, start="2024-01-01", days=60, drift=drift)[0]
        strings = pd.read_csv(path, dtype=str, keep_default_na=False)
    strings["line"] = range(2, len(strings) + 2)
    return raw.build_examples({"deliveries": raw.parse_table("deliveries", strings).rows})


def make_toy_bundle(
    folder: Path, *, rows: int = 1_500, seed: int = 1, examples: pd.DataFrame | None = None, simulated: bool = True
) -> Path:
    """Train the toy and write its bundle into ``folder``."""
    data = make_examples(rows, seed) if examples is None else examples
    return train(USE_CASE, data, {}, {}, params=Train(folds=2, minimum_group=30), folder=folder, simulated=simulated)
