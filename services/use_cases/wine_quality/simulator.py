"""Writes simulated wines in the layout of the two official files, from a causal model of ripeness, care and faults.

``drift`` may name ``riper-years`` (more sugar and alcohol, less acid) and ``stricter-tasters`` (everything scores
lower).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from services.core.errors import VigieError
from services.use_cases.wine_quality.request import MEASUREMENTS, Colour

DRIFTS = ("riper-years", "stricter-tasters")
_RED_SHARE = 0.3
_TWICE = 0.15
"""Share of wines that are listed a second time, as in the official files."""


def write(folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()) -> list[Path]:
    """Write about ``rows`` wines; ``start`` and ``days`` mean nothing here but change the draw.

    Raises:
        VigieError: a drift that there is not.
    """
    unknown = set(drift) - set(DRIFTS)
    if unknown:
        raise VigieError(f"There is no drift {min(unknown)!r}.", expected="one of " + ", ".join(DRIFTS))
    draw = np.random.default_rng([seed, rows, days, int(start.replace("-", ""))])
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    red = max(1, round(rows * _RED_SHARE))
    colours: tuple[tuple[Colour, int], ...] = (("red", red), ("white", max(1, rows - red)))
    for colour, count in colours:
        table = _wines(draw, count, colour, drift)
        twice = table[draw.random(len(table)) < _TWICE]
        table = pd.concat([table, twice]).sample(frac=1.0, random_state=seed)
        path = folder / f"simulated-winequality-{colour}.csv"
        table.to_csv(path, index=False, sep=";")
        written.append(path)
    return written


def _wines(draw: np.random.Generator, count: int, colour: Colour, drift: Sequence[str]) -> pd.DataFrame:
    red = colour == "red"
    ripe = draw.normal(0.6 if "riper-years" in drift else 0.0, 1.0, count)
    care = draw.normal(0, 1, count)

    def around(mean: float, spread: float, size: float = 1.0) -> np.ndarray:
        return mean * np.exp(draw.normal(0, spread, count)) * size

    alcohol = np.clip(10.5 + 1.0 * ripe + draw.normal(0, 0.6, count), 8.0, 15.0)
    sugar = around(2.4 if red else 5.0, 0.35 if red else 0.8)
    volatile = around(0.52 if red else 0.27, 0.28) * np.exp(-0.12 * care)
    acid = np.clip((8.3 if red else 6.9) - 0.4 * ripe + draw.normal(0, 0.9, count), 3.8, 16)
    free = around(15.0 if red else 34.0, 0.45)
    total = free + around(30.0 if red else 100.0, 0.35)
    chlorides = around(0.085 if red else 0.045, 0.3) * np.exp(-0.08 * care)
    sulphates = around(0.65 if red else 0.49, 0.2) * np.exp(0.05 * care)
    values = {
        "fixed_acidity": acid.round(1),
        "volatile_acidity": volatile.round(3),
        "citric_acid": np.clip(0.3 + 0.12 * care + draw.normal(0, 0.12, count), 0, 1.2).round(2),
        "residual_sugar": sugar.round(1),
        "chlorides": chlorides.round(3),
        "free_sulfur_dioxide": free.round(0),
        "total_sulfur_dioxide": total.round(0),
        "density": (0.9995 - 0.0012 * (alcohol - 8) + 0.00038 * sugar + draw.normal(0, 0.0004, count)).round(5),
        "ph": np.clip(3.9 - 0.08 * acid + draw.normal(0, 0.12, count), 2.7, 4.1).round(2),
        "sulphates": sulphates.round(2),
        "alcohol": alcohol.round(1),
    }
    score = (
        5.8
        + 0.38 * (alcohol - 10.5)
        - 1.8 * np.log(volatile / (0.52 if red else 0.27))
        + 0.6 * np.log(sulphates / (0.65 if red else 0.49)) * (1 if red else 0.4)
        - 0.3 * np.log(chlorides / (0.085 if red else 0.045))
        - 0.35 * (free < 10)
        + draw.normal(0, 0.55, count)
        - (0.8 if "stricter-tasters" in drift else 0.0)
    )
    table = pd.DataFrame({MEASUREMENTS[name].column: made for name, made in values.items()})
    return table.assign(quality=np.clip(np.round(score), 3, 9).astype(int))
