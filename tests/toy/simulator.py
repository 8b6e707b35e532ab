"""Writes deliveries whose time follows from distance, hour and town."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd


def write(folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()) -> list[Path]:
    generator = np.random.default_rng(seed)
    times = pd.Timestamp(start, tz="UTC") + pd.to_timedelta(
        np.sort(generator.uniform(0, days * 86_400, rows)), unit="s"
    )
    distance = generator.gamma(2.0, 2.0, rows)
    kind = generator.choice(["letter", "parcel"], rows)
    town = generator.choice(["east", "west", "north"], rows)
    delay = np.select([town == "east", town == "west"], [200.0, 50.0], 0.0) * (2.0 if "slow-east" in drift else 1.0)
    seconds = 60 + 120 * distance + delay + 60 * (kind == "parcel") + generator.normal(0, 40, rows)
    size = np.where(kind == "letter", "small", np.where(generator.random(rows) < 0.5, "medium", "large"))
    frame = pd.DataFrame(
        {
            "delivery_id": [f"D{seed}-{index:06d}" for index in range(rows)],
            "called_at": times.floor("s").strftime("%Y-%m-%dT%H:%M:%SZ"),
            "distance": distance.round(3),
            "kind": kind,
            "town": town,
            "seconds": seconds.round(0).clip(min=10),
            "size": size,
        }
    )
    path = folder / "deliveries-simulated.csv"
    frame.to_csv(path, index=False)
    return [path]
